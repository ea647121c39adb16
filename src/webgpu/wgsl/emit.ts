/**
 * A tile program as a WGSL compute shader.
 *
 *   program → stage operands of mma → lay register tiles on lanes → choose vec4 arrays and double buffers
 *           → one node per statement (two where lanes meet) → barriers → text
 *
 * Shared tiles become workgroup arrays, register tiles each lane's own array, statements work spread over the
 * workgroup; a grid point is a workgroup. Copies block (WGSL has no asynchronous ones); a tile with several stages
 * gets two buffers, so that one barrier per iteration is enough. Counting (see count.ts) adds nothing but counters.
 */
import { InfeasibleError } from '../../base/errors.js';
import { checkProgram } from '../../kernel/check.js';
import { isTile, type Loop, type Program, type Reduce, type Stmt, type Tensor, type Tile } from '../../kernel/ir.js';
import type { Launch } from '../../kernel/kernel.js';
import { stmtText } from '../../kernel/print.js';
import { type LoopNode, type Node, type Place, placeBarriers, type Work } from './barriers.js';
import { emitMap, emitMma, emitReduce, emitReduceMeet, planReduce } from './compute.js';
import { emitCopy, emitGather, emitScatter } from './copy.js';
import { laneGrids } from './layout.js';
import { rangesOf } from './range.js';
import { type Plan, Shader } from './shader.js';
import { doubleBuffered, stageOperands } from './stage.js';
import { SCALAR_B, type Scalar, substitution } from './types.js';
import { vectorised } from './vectors.js';

/** What the device offers; browsers and Dawn give at least DEFAULT_LIMITS (WebGPU §3.6.2). */
export interface EmitOptions {
  /** shader-f16 is there. */
  readonly f16?: boolean;
  /** Fewest lanes of a subgroup, to reduce with shuffles inside one; 0 or absent: through workgroup memory. */
  readonly subgroup?: number;
  readonly workgroup_B?: number;
  readonly max_lanes?: number;
  readonly max_workgroups?: number;
  readonly storage_buffers?: number;
  /**
   * Hides the bounds of long loops from the compiler, so that it does not unroll them: a CPU device's compiler takes
   * tens of seconds over long straight code.
   */
  readonly compact?: boolean;
  /** Adds counters of every access. */
  readonly counting?: boolean;
}
export const DEFAULT_LIMITS = {
  workgroup_B: 16384,
  max_lanes: 256,
  max_workgroups: 65535,
  storage_buffers: 8,
} as const;

export interface Binding {
  /** A tensor's name, or `tables` or `counters`. */
  readonly name: string;
  readonly type: Scalar;
  readonly elements: number;
  readonly tensor?: Tensor;
}
export interface ShaderText {
  readonly wgsl: string;
  readonly entry: 'main';
  readonly lanes: number;
  readonly workgroups: readonly [number, number, number];
  /** In order of their binding numbers. */
  readonly bindings: readonly Binding[];
  /** Contents of the `tables` buffer; empty when there is none. */
  readonly tables: readonly number[];
  /** What each counter counts, in order, when counting. */
  readonly counters: readonly string[];
  readonly workgroup_B: number;
  readonly barriers: number;
  /** What differs from the program: formats WGSL lacks, buffers folded. */
  readonly notes: readonly string[];
}

/** Throws InputError on an ill-formed program, InfeasibleError where the device's limits are too small for it. */
export function emitWgsl(launch: Launch, options: EmitOptions = {}): ShaderText {
  checkProgram(launch.program);
  const limits = { ...DEFAULT_LIMITS, ...options };
  const lanes = Math.min(launch.mapping.lanes, limits.max_lanes);
  const notes: string[] = [];
  if (lanes < launch.mapping.lanes) notes.push(`${launch.mapping.lanes} lanes are run as ${lanes}`);
  const { program, added } = stageOperands(launch.program);
  const plan = planOf(program, lanes, added, options);
  const fitted = fitBuffers(plan, limits.workgroup_B, options.subgroup ?? 0, notes);
  return assemble(fitted.plan, launch.mapping.panel, fitted.workgroup_B, options, limits, notes);
}

function planOf(program: Program, lanes: number, added: ReadonlySet<Stmt>, options: EmitOptions): Plan {
  const atomic = new Set<Tensor>();
  forEachStmt(program.body, (s) => {
    if (s.kind === 'scatter' && s.combine !== 'set') atomic.add(s.to.tensor);
  });
  const ranges = rangesOf(program);
  const grids = laneGrids(program, lanes);
  return {
    program,
    lanes,
    f16: options.f16 === true,
    counting: options.counting === true,
    compact: options.compact === true,
    grids,
    vec: vectorised(program, grids, ranges, atomic),
    atomic,
    buffers: doubleBuffered(program),
    uncounted: added,
    ranges,
  };
}

/** Gives tiles two buffers while workgroup memory lasts, smallest first. */
function fitBuffers(
  plan: Plan,
  workgroup_B: number,
  subgroup: number,
  notes: string[],
): { plan: Plan; workgroup_B: number } {
  const sh = new Shader(plan);
  const shared = plan.program.tiles.filter((t) => t.level === 'shared');
  const size = (t: Tile): number => Math.ceil((t.rows * t.cols * SCALAR_B[sh.type(t)]) / 16) * 16;
  let total = shared.reduce((n, t) => n + size(t), 0);
  forScratch(sh, subgroup, (elements) => {
    total += elements * SCALAR_B.f32;
  });
  if (total > workgroup_B)
    throw new InfeasibleError(
      `${plan.program.name} needs ${total} B of workgroup memory, the device has ${workgroup_B} B; choose smaller tiles`,
    );
  const buffers = new Map(plan.buffers);
  for (const t of [...buffers.keys()].sort((a, b) => size(a) - size(b))) {
    if (total + size(t) <= workgroup_B) total += size(t);
    else {
      buffers.delete(t);
      notes.push(`${t.name} has one buffer for its ${t.stages} stages: workgroup memory has no room for two`);
    }
  }
  return { plan: { ...plan, buffers }, workgroup_B: total };
}

/** The two places in workgroup memory where lanes meet in reductions; alternating, so that one barrier a meeting will do. */
const SCRATCH = ['meet0', 'meet1'] as const;
function forScratch(sh: Shader, subgroup: number, found: (elements: number, name: string) => void): void {
  const sizes = [0, 0];
  let n = 0;
  forEachStmt(sh.plan.program.body, (s) => {
    if (s.kind !== 'reduce') return;
    const p = planReduce(sh, s, subgroup);
    if (p.meet !== 'memory') return;
    const at = n++ % SCRATCH.length;
    sizes[at] = Math.max(sizes[at]!, p.lines * p.parts);
  });
  for (const [i, size] of sizes.entries()) if (size > 0) found(size, SCRATCH[i]!);
}

function assemble(
  plan: Plan,
  panel: number,
  workgroup_B: number,
  options: EmitOptions,
  limits: { readonly max_workgroups: number; readonly storage_buffers: number },
  notes: string[],
): ShaderText {
  const { program, lanes } = plan;
  const sh = new Shader(plan);
  const subgroup = options.subgroup ?? 0;
  const nodes = lower(sh, program, subgroup);
  placeBarriers(nodes);
  const tracked = sharedTensors(program);
  let barriers = 0;
  const write = (list: readonly Node[]): void => {
    for (const n of list) {
      if (n.barrier) {
        barriers++;
        sh.line('workgroupBarrier();');
        if (tracked.size > 0) sh.line('storageBarrier();');
      }
      if (n.kind === 'work') n.emit();
      else {
        const { index, from, to } = n.loop;
        const name = sh.name(index);
        sh.block(`for (var ${name} = ${sh.expr(from)}; ${name} < ${sh.expr(to)}; ${name}++)`, () =>
          sh.within(index, () => write(n.body)),
        );
      }
    }
  };
  const { workgroups, decode } = gridOf(sh, program, limits.max_workgroups, panel);
  for (const d of decode) sh.line(d);
  for (const t of program.tiles) {
    if (t.level !== 'register') continue;
    const { rows, cols } = sh.share(t);
    const type = sh.type(t);
    sh.line(`var ${sh.name(t)}: ${rows * cols === 1 ? type : `array<${type}, ${rows * cols}>`};`);
  }
  const start = sh.lines.length;
  write(nodes);
  const counters = [...sh.counters.keys()];
  sh.lines.splice(start, 0, ...counters.map((_, i) => `  var n${i} = 0u;`));
  for (const [i, what] of counters.entries()) sh.line(`atomicAdd(&counters[${i}], n${i}); // ${what}`);

  const used = tensorsOf(program);
  const bindings: Binding[] = program.tensors
    .filter((t) => used.has(t))
    .map((t) => ({
      name: t.name,
      type: sh.type(t),
      elements: storageElements(t),
      tensor: t,
    }));
  const tables = [...sh.tables.keys()].flatMap((t) => t.values);
  if (tables.length > 0) bindings.push({ name: 'tables', type: 'i32', elements: tables.length });
  if (counters.length > 0) bindings.push({ name: 'counters', type: 'i32', elements: counters.length });
  if (bindings.length > limits.storage_buffers)
    throw new InfeasibleError(
      `${program.name} needs ${bindings.length} buffers, the device binds ${limits.storage_buffers} per shader`,
    );
  for (const x of [...program.tensors, ...program.tiles]) {
    if ('level' in x && x.level === 'register') continue;
    const note = substitution(x.dtype, sh.type(x));
    if (note && !notes.includes(note)) notes.push(note);
  }

  const written = new Set<Tensor>();
  forEachStmt(program.body, (s) => {
    if ((s.kind === 'copy' || s.kind === 'scatter') && !isTile(s.to)) written.add(s.to.tensor);
  });
  const head: string[] = [`// ${program.name}`, ...notes.map((n) => `// ${n}`)];
  const types = new Set([...program.tensors, ...program.tiles].map((x) => sh.type(x)));
  if (types.has('f16')) head.push('enable f16;');
  if (sh.lines.some((l) => l.includes('subgroupShuffleXor'))) head.push('enable subgroups;');
  head.push('');
  for (const [i, b] of bindings.entries()) {
    const access = b.tensor
      ? written.has(b.tensor) || plan.atomic.has(b.tensor)
        ? 'read_write'
        : 'read'
      : b.name === 'counters'
        ? 'read_write'
        : 'read';
    const element = !b.tensor
      ? b.name === 'counters'
        ? 'atomic<u32>'
        : 'i32'
      : plan.atomic.has(b.tensor)
        ? `atomic<${b.type === 'i32' ? 'i32' : 'u32'}>`
        : sh.isVec(b.tensor)
          ? `vec4<${b.type}>`
          : b.type;
    const shape = b.tensor ? ` // ${b.tensor.dtype}[${b.tensor.dims.join(', ')}]` : '';
    const name = b.tensor ? sh.name(b.tensor) : b.name;
    head.push(`@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<${element}>;${shape}`);
  }
  head.push('');
  for (const t of program.tiles) {
    if (t.level !== 'shared') continue;
    const copies = plan.buffers.has(t) ? 2 : 1;
    const n = t.rows * t.cols * copies;
    const type = sh.type(t);
    const array = sh.isVec(t) ? `array<vec4<${type}>, ${n / 4}>` : `array<${type}, ${n}>`;
    head.push(`var<workgroup> ${sh.name(t)}: ${array}; // [${t.rows}, ${t.cols}]${copies > 1 ? ' × 2 buffers' : ''}`);
  }
  forScratch(sh, subgroup, (elements, name) => head.push(`var<workgroup> ${name}: array<f32, ${elements}>;`));
  if (sh.helpers.has('floor_div'))
    head.push(
      '',
      'fn floor_div(a: i32, b: i32) -> i32 {',
      '  let q = a / b;',
      '  return select(q, q - 1, a % b != 0 && ((a < 0) != (b < 0)));',
      '}',
    );
  const hidden = sh.lines.some((l) => / \+ none;/.test(l));
  head.push(
    '',
    `@compute @workgroup_size(${lanes})`,
    hidden
      ? 'fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane_id: u32, @builtin(num_workgroups) nwg: vec3<u32>) {'
      : 'fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane_id: u32) {',
    '  let lane = i32(lane_id);',
    ...(hidden ? ['  let none = i32(nwg.z >> 31u); // 0, which no compiler can know'] : []),
  );
  return {
    wgsl: `${[...head, ...sh.lines, '}'].join('\n')}\n`,
    entry: 'main',
    lanes,
    workgroups,
    bindings,
    tables,
    counters,
    workgroup_B,
    barriers,
    notes,
  };
}

/** Elements from the first to the last of a tensor as it lies in memory, a whole number of vectors. */
export function storageElements(t: Tensor): number {
  const strides = t.strides;
  const last = strides
    ? t.dims.reduce((n, d, i) => n + (d - 1) * strides[i]!, 0) + 1
    : t.dims.reduce((a, b) => a * b, 1);
  return Math.ceil(last / 4) * 4;
}

/** How grid points are numbered: directly while there are at most three dims of legal size, else in one row. */
function gridOf(
  sh: Shader,
  program: Program,
  most: number,
  panel: number,
): { workgroups: [number, number, number]; decode: string[] } {
  const { grid } = program;
  const axis = ['x', 'y', 'z'] as const;
  if (grid.length <= 3 && grid.every((g) => g.extent <= most)) {
    const workgroups: [number, number, number] = [1, 1, 1];
    const decode = grid.map((g, d) => {
      workgroups[d] = g.extent;
      return `let ${sh.name(g.index)} = i32(wid.${axis[d]!});`;
    });
    const [x, y] = grid;
    if (panel > 1 && x && y && x.extent > 1 && y.extent > 1) {
      // the device starts workgroups in the order of wid, x fastest; they walk panels of rows, down each column
      const each = panel * x.extent;
      const [nx, ny] = [sh.name(x.index), sh.name(y.index)];
      decode.splice(
        0,
        2,
        `let point = i32(wid.x + wid.y * ${x.extent}u);`,
        `let tall = min(${panel}, ${y.extent} - point / ${each} * ${panel});`,
        `let ${nx} = point % ${each} / tall;`,
        `let ${ny} = point / ${each} * ${panel} + point % ${each} % tall;`,
      );
    }
    return { workgroups, decode };
  }
  const total = grid.reduce((n, g) => n * g.extent, 1);
  const x = Math.min(total, most);
  const y = Math.ceil(total / x);
  if (y > most)
    throw new InfeasibleError(`${program.name} has ${total} workgroups, the device dispatches ${most ** 2}`);
  const decode = [`var point = i32(wid.x${y > 1 ? ` + wid.y * ${x}u` : ''});`];
  if (x * y > total) decode.push(`if (point >= ${total}) { return; }`);
  for (const [d, g] of grid.entries()) {
    decode.push(`let ${sh.name(g.index)} = point${d === grid.length - 1 ? '' : ` % ${g.extent}`};`);
    if (d < grid.length - 1) decode.push(`point = point / ${g.extent};`);
  }
  return { workgroups: [x, y, 1], decode };
}

/** Tensors that some statement touches; others are not bound. */
function tensorsOf(program: Program): Set<Tensor> {
  const used = new Set<Tensor>();
  forEachStmt(program.body, (s) => {
    if (s.kind === 'copy') for (const x of [s.from, s.to]) if (!isTile(x)) used.add(x.tensor);
    if (s.kind === 'gather') used.add(s.from.tensor);
    if (s.kind === 'scatter') used.add(s.to.tensor);
  });
  return used;
}

/** Tensors that a program both reads and writes: lanes of a workgroup must wait for each other's stores. */
function sharedTensors(program: Program): Set<Tensor> {
  const [read, written] = [new Set<Tensor>(), new Set<Tensor>()];
  forEachStmt(program.body, (s) => {
    if (s.kind === 'copy' && !isTile(s.from)) read.add(s.from.tensor);
    if (s.kind === 'gather') read.add(s.from.tensor);
    if ((s.kind === 'copy' || s.kind === 'scatter') && !isTile(s.to)) written.add(s.to.tensor);
  });
  return new Set([...read].filter((t) => written.has(t)));
}

/** One node per statement, two for a reduction whose lanes meet in workgroup memory. */
function lower(sh: Shader, program: Program, subgroup: number): Node[] {
  const places = new Map<string, Place>(SCRATCH.map((name) => [name, { name }]));
  const tensors = sharedTensors(program);
  let meetings = 0;
  const work = (title: string, reads: readonly Place[], writes: readonly Place[], emit: () => void): Work => ({
    kind: 'work',
    reads,
    writes,
    barrier: false,
    emit: () => {
      if (title !== '') sh.line(`// ${title}`);
      emit();
    },
  });
  const scoped = (emit: () => void) => () => sh.block('', emit);
  const shared = (...tiles: readonly Tile[]): Place[] => tiles.filter((t) => t.level === 'shared');
  const tensor = (t: Tensor): Place[] => (tensors.has(t) ? [t] : []);
  const reduceNodes = (s: Reduce): Node[] => {
    const p = planReduce(sh, s, subgroup);
    const held = s.accumulate ? shared(s.from, s.to) : shared(s.from);
    if (p.meet !== 'memory') return [work(stmtText(s), held, shared(s.to), () => emitReduce(sh, s, p, ''))];
    const name = SCRATCH[meetings++ % SCRATCH.length]!;
    const place = places.get(name)!;
    return [
      work(stmtText(s), shared(s.from), [place], () => emitReduce(sh, s, p, name)),
      work('', s.accumulate ? [place, ...shared(s.to)] : [place], shared(s.to), () => emitReduceMeet(sh, s, p, name)),
    ];
  };
  const visit = (body: readonly Stmt[]): Node[] => body.flatMap(nodesOf);
  const nodesOf = (s: Stmt): Node[] => {
    const title = stmtText(s);
    switch (s.kind) {
      case 'loop':
        return [loopNode(sh, s, visit(s.body))];
      case 'copy': {
        const reads = isTile(s.from) ? shared(s.from) : tensor(s.from.tensor);
        const writes = isTile(s.to) ? shared(s.to) : tensor(s.to.tensor);
        return [
          work(
            title,
            reads,
            writes,
            scoped(() => emitCopy(sh, s)),
          ),
        ];
      }
      case 'mma':
        return [work(title, shared(s.a, s.b, s.acc), shared(s.acc), () => emitMma(sh, s))];
      case 'map':
        return [work(title, shared(...s.ins), shared(s.out), () => emitMap(sh, s))];
      case 'reduce':
        return reduceNodes(s);
      case 'gather':
        return [
          work(
            title,
            [...shared(s.index), ...tensor(s.from.tensor)],
            shared(s.to),
            scoped(() => emitGather(sh, s)),
          ),
        ];
      case 'scatter':
        return [
          work(
            title,
            shared(s.index, s.from),
            tensor(s.to.tensor),
            scoped(() => emitScatter(sh, s)),
          ),
        ];
    }
  };
  return visit(program.body);
}

function loopNode(sh: Shader, loop: Loop, body: readonly Node[]): LoopNode {
  const alternating = new Set<Place>();
  for (const [t, indices] of sh.plan.buffers) if (indices.has(loop.index)) alternating.add(t);
  return { kind: 'loop', loop, body, alternating, barrier: false };
}

function forEachStmt(body: readonly Stmt[], found: (s: Stmt) => void): void {
  for (const s of body) {
    found(s);
    if (s.kind === 'loop') forEachStmt(s.body, found);
  }
}
