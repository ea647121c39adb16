/**
 * Whether a tile program is well formed: names unique and declared, shapes that fit each statement, indices bound.
 * The interpreter and the emitter call it before they trust a program; it does not look at any machine.
 */
import { InputError } from '../base/errors.js';
import {
  type Expr,
  type Fx,
  isTile,
  type LoopVar,
  type Part,
  type Program,
  type Stmt,
  type Tile,
  type View,
} from './ir.js';

/** Throws InputError naming the program, the statement (as body[2].body[0]) and what is wrong. */
export function checkProgram(program: Program): void {
  const bad = (place: string, message: string): never => {
    throw new InputError(message, `${program.name}, ${place}`);
  };
  const tensors = new Set<string>();
  for (const t of program.tensors) {
    if (tensors.has(t.name)) bad('tensors', `tensor ${t.name} is declared twice`);
    tensors.add(t.name);
    if (!t.dims.every(isExtent)) bad(`tensor ${t.name}`, `dims [${t.dims}] must be positive whole numbers`);
    if (t.strides && t.strides.length !== t.dims.length)
      bad(`tensor ${t.name}`, `has ${t.strides.length} strides for ${t.dims.length} dims`);
  }
  const tiles = new Set<string>();
  for (const t of program.tiles) {
    if (tiles.has(t.name) || tensors.has(t.name)) bad('tiles', `the name ${t.name} is declared twice`);
    tiles.add(t.name);
    if (![t.rows, t.cols, t.stages].every(isExtent))
      bad(`tile ${t.name}`, `[${t.rows}, ${t.cols}] × ${t.stages} stages must be positive whole numbers`);
    const fault = t.part && partFault(t, t.part, program);
    if (fault) bad(`tile ${t.name}`, fault);
  }
  const bound = new Set<LoopVar>();
  for (const g of program.grid) {
    if (!Number.isInteger(g.extent) || g.extent < 0) bad(`grid ${g.index.var}`, `extent ${g.extent}`);
    bound.add(g.index);
  }

  const expr = (e: Expr, place: string): void => {
    if (typeof e === 'number') {
      if (!Number.isInteger(e)) bad(place, `${e} must be a whole number`);
    } else if ('var' in e) {
      if (!bound.has(e)) bad(place, `index ${e.var} is not bound here`);
    } else if ('op' in e) {
      expr(e.a, place);
      expr(e.b, place);
    } else expr(e.at, place);
  };
  const tileOk = (t: Tile, place: string, parts = false): void => {
    if (!program.tiles.includes(t)) bad(place, `tile ${t.name} is not among the program's tiles`);
    if (t.part && !parts) bad(place, `${t.name} is a part of ${t.part.of.name}: only copies between tiles take parts`);
  };
  const viewOk = (v: View, rows: number, cols: number, place: string): void => {
    const { tensor, axes } = v;
    if (!program.tensors.includes(tensor)) bad(place, `tensor ${tensor.name} is not among the program's tensors`);
    if (v.at.length !== tensor.dims.length)
      bad(
        place,
        `view of ${tensor.name} starts at ${v.at.length} coordinates, the tensor has ${tensor.dims.length} dims`,
      );
    for (const e of v.at) expr(e, place);
    for (const e of v.limit ?? []) if (e !== undefined) expr(e, place);
    for (const [side, extent] of [rows, cols].entries()) {
      const axis = axes[side]!;
      if (!Number.isInteger(axis) || axis < -1 || axis >= tensor.dims.length)
        bad(place, `view of ${tensor.name} walks axis ${axis} of ${tensor.dims.length}`);
      if (axis === -1 && extent !== 1) bad(place, `view of ${tensor.name} has no axis for a side of extent ${extent}`);
      if (!isExtent(v.step?.[side] ?? 1)) bad(place, `step ${v.step?.[side]} must be a positive whole number`);
    }
    if (axes[0] !== -1 && axes[0] === axes[1]) bad(place, `view of ${tensor.name} walks axis ${axes[0]} twice`);
  };
  const writable = (v: View, place: string): void => {
    if (v.tensor.role === 'input') bad(place, `writes ${v.tensor.name}, whose role is input`);
  };
  const fxOk = (fx: Fx, ins: number, scalars: number, place: string): void => {
    if (typeof fx === 'number' || 'coord' in fx) return;
    if ('in' in fx) {
      if (!(fx.in < ins)) bad(place, `the function uses operand ${fx.in}, the map gives ${ins}`);
    } else if ('s' in fx) {
      if (!(fx.s < scalars)) bad(place, `the function uses scalar ${fx.s}, the map gives ${scalars}`);
    } else for (const a of fx.args) fxOk(a, ins, scalars, place);
  };
  const shape = (t: Tile): string => `${t.name} [${t.rows}, ${t.cols}]`;

  const visit = (s: Stmt, place: string): void => {
    switch (s.kind) {
      case 'loop':
        expr(s.from, place);
        expr(s.to, place);
        bound.add(s.index);
        s.body.forEach((inner, i) => void visit(inner, `${place}.body[${i}]`));
        bound.delete(s.index);
        return;
      case 'copy':
        if (isTile(s.from)) {
          tileOk(s.from, place, isTile(s.to));
          if (isTile(s.to)) {
            tileOk(s.to, place, true);
            if (s.from.rows !== s.to.rows || s.from.cols !== s.to.cols)
              bad(place, `copies ${shape(s.from)} to ${shape(s.to)}`);
          } else {
            viewOk(s.to, s.from.rows, s.from.cols, place);
            writable(s.to, place);
          }
        } else if (isTile(s.to)) {
          tileOk(s.to, place);
          viewOk(s.from, s.to.rows, s.to.cols, place);
        } else bad(place, 'copies a tensor to a tensor; go through a tile');
        return;
      case 'mma': {
        for (const t of [s.a, s.b, s.acc]) tileOk(t, place);
        const [m, ka] = s.ta ? [s.a.cols, s.a.rows] : [s.a.rows, s.a.cols];
        const [kb, n] = s.tb ? [s.b.cols, s.b.rows] : [s.b.rows, s.b.cols];
        if (m !== s.acc.rows || n !== s.acc.cols || ka * (s.sparse ? 2 : 1) !== kb)
          bad(
            place,
            `mma of ${shape(s.a)}${s.ta ? 'ᵀ' : ''}, ${shape(s.b)}${s.tb ? 'ᵀ' : ''} does not give ${shape(s.acc)}`,
          );
        return;
      }
      case 'map':
        for (const t of [...s.ins, s.out]) tileOk(t, place);
        for (const t of s.ins)
          if ((t.rows !== 1 && t.rows !== s.out.rows) || (t.cols !== 1 && t.cols !== s.out.cols))
            bad(place, `${shape(t)} does not broadcast to ${shape(s.out)}`);
        if (s.fn.arity !== s.ins.length) bad(place, `${s.fn.name} takes ${s.fn.arity} tiles, got ${s.ins.length}`);
        for (const e of s.scalars ?? []) expr(e, place);
        fxOk(s.fn.body, s.ins.length, s.scalars?.length ?? 0, place);
        return;
      case 'reduce':
        tileOk(s.from, place);
        tileOk(s.to, place);
        if (s.axis === 1 ? s.to.rows !== s.from.rows || s.to.cols !== 1 : s.to.cols !== s.from.cols || s.to.rows !== 1)
          bad(place, `reduces ${shape(s.from)} along axis ${s.axis} into ${shape(s.to)}`);
        if (s.from === s.to) bad(place, `reduces ${s.from.name} into itself`);
        return;
      case 'gather':
      case 'scatter': {
        const tile = s.kind === 'gather' ? s.to : s.from;
        const v = s.kind === 'gather' ? s.from : s.to;
        tileOk(tile, place);
        tileOk(s.index, place);
        viewOk(v, tile.rows, tile.cols, place);
        if (v.axes[0] === -1) bad(place, `view of ${v.tensor.name} has no row axis to index`);
        if (s.index.rows !== tile.rows || s.index.cols !== 1)
          bad(place, `index ${shape(s.index)} must be [${tile.rows}, 1]`);
        if (s.kind === 'scatter') writable(s.to, place);
        return;
      }
    }
  };
  program.body.forEach((s, i) => void visit(s, `body[${i}]`));
}

const isExtent = (x: number): boolean => Number.isInteger(x) && x > 0;

/** What is wrong with a part of a tile; undefined when nothing is. */
function partFault(t: Tile, { of, at, strides }: Part, program: Program): string | undefined {
  if (!program.tiles.includes(of)) return `is a part of ${of.name}, which is not among the program's tiles`;
  if (of.level !== 'shared' || t.level !== 'shared' || of.part || of.stages > 1 || t.stages > 1)
    return `is a part of ${of.name}; only shared tiles of one stage that are whole have parts`;
  if (of.dtype !== t.dtype) return `is ${t.dtype}, the tile it is a part of ${of.dtype}`;
  const [down, across] = strides;
  if (!isExtent(down) || !isExtent(across) || !(Number.isInteger(at) && at >= 0))
    return `starts at ${at} and steps by [${strides}]; whole numbers are expected, steps at least 1`;
  const last = at + (t.rows - 1) * down + (t.cols - 1) * across;
  if (last >= of.rows * of.cols) return `reaches element ${last} of ${of.name}, which has ${of.rows * of.cols}`;
  if (t.rows > 1 && t.cols > 1 && down < t.cols * across && across < t.rows * down)
    return `steps by [${strides}], so that several of its [${t.rows}, ${t.cols}] elements may be one`;
  return undefined;
}
