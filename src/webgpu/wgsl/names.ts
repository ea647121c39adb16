/** WGSL identifiers for everything in a program: its own names where they are legal and free, else near to them. */
import type { LoopVar, Program, Stmt } from '../../kernel/ir.js';

/** Keywords and reserved words a kernel's author may well use (WGSL §3.8, §16), built-in functions and our own names. */
const TAKEN = [
  ...'alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop override requires return struct switch true var while'.split(
    ' ',
  ),
  ...'as async auto await cast catch class common compile debug delete do enum export extends external filter final finally fixed from get goto group handle highp import in inline inout instance interface layout line lowp macro match meta mod module move mut namespace new nil null of operator out package partition pass patch point precise precision private protected ptr pub public quad ref regardless register resource return_type sample self set shared signed sizeof smooth static std subroutine super target template this throw trait try type typedef typename undefined union unless use using varying virtual void volatile where with write yield'.split(
    ' ',
  ),
  ...'bool f16 f32 i32 u32 vec2 vec3 vec4 array atomic bitcast abs ceil clamp cos exp2 floor fma log2 max min round select sin sqrt tanh dot extractBits pack4xI8 unpack4xI8 unpack4xU8 dot4I8Packed dot4U8Packed pack_bytes unpack_i8 unpack_u8 unpack_i4 transpose_bytes inverseSqrt subgroupAdd subgroupMax subgroupMin subgroupShuffleXor atomicAdd atomicMax atomicLoad atomicStore atomicCompareExchangeWeak workgroupBarrier storageBarrier'.split(
    ' ',
  ),
  ...'main lane lane_id wid point tall tables counters meet0 meet1 count0 count1 subgroup_number subgroup_lanes subgroup_lane line piece q i j j4 k4 kq kk e r c c4 base four part other none nwg old swap term a_ b_ floor_div'.split(
    ' ',
  ),
];

export function nameAll(program: Program): Map<object, string> {
  const used = new Set(TAKEN);
  const names = new Map<object, string>();
  const give = (x: object, wish: string): void => {
    if (names.has(x)) return;
    let base = wish.replace(/[^A-Za-z0-9_]/g, '_').replace(/__+/g, '_');
    if (!/^[A-Za-z]/.test(base)) base = `t${base}`;
    let name = base;
    for (let n = 1; used.has(name) || /^([nv]\d+i?|(left|right)\d+)$/.test(name); n++) name = `${base}_${n}`;
    used.add(name);
    names.set(x, name);
  };
  for (const t of program.tensors) give(t, t.name);
  for (const t of program.tiles) give(t, t.name);
  for (const g of program.grid) give(g.index, g.index.var);
  const visit = (body: readonly Stmt[]): void => {
    for (const s of body)
      if (s.kind === 'loop') {
        give(s.index as LoopVar, s.index.var);
        visit(s.body);
      }
  };
  visit(program.body);
  return names;
}
