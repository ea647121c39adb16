/**
 * How many rows a gather or scatter touches over the grid, where the program alone says which: its index tile is made by
 * one map of coordinates and grid indices. Other indices are data; all of their rows are taken to be in range.
 */
import {
  evalExpr,
  type Fx,
  indicesOf,
  type LoopVar,
  type MapStmt,
  type Program,
  type Stmt,
  type Tile,
} from '../../kernel/ir.js';

/** Share of a tile's rows that lie in [0, end), over the grid; 1 where that takes data to know. */
export function shareInRange(index: Tile, program: Program, end: number): number {
  const maker = makerOf(index, program.body);
  if (!maker || maker.ins.length > 0) return 1;
  const scalars = maker.scalars ?? [];
  const { grid } = program;
  let grown = true;
  for (const e of scalars)
    indicesOf(e, (v) => {
      grown &&= grid.some((g) => g.index === v);
    });
  if (!grown) return 1;
  const env = new Map<LoopVar, number>();
  const values = new Array<number>(scalars.length).fill(0);
  const count = (): number => {
    for (let i = 0; i < scalars.length; i++) values[i] = evalExpr(scalars[i]!, env);
    let n = 0;
    for (let row = 0; row < index.rows; row++) {
      const at = value(maker.fn.body, row, values);
      if (at >= 0 && at < end) n++;
    }
    return n;
  };
  // indices that make no difference between their ends, whatever the others' ends, are left at 0
  const matters = grid.filter((g) => {
    for (const others of [0, 1]) {
      for (const x of grid) env.set(x.index, others * (x.extent - 1));
      env.set(g.index, 0);
      const first = count();
      env.set(g.index, g.extent - 1);
      if (count() !== first) return true;
    }
    return false;
  });
  for (const g of grid) env.set(g.index, 0);
  let total = 0;
  let points = 0;
  const step = (i: number): void => {
    const g = matters[i];
    if (!g) {
      total += count();
      points++;
      return;
    }
    for (let v = 0; v < g.extent; v++) {
      env.set(g.index, v);
      step(i + 1);
    }
  };
  step(0);
  return total / (points * index.rows);
}

/** The one map that makes a tile; undefined when something else does, or several. */
function makerOf(tile: Tile, body: readonly Stmt[]): MapStmt | undefined {
  let found: MapStmt | undefined;
  let other = false;
  const visit = (stmts: readonly Stmt[]): void => {
    for (const s of stmts) {
      if (s.kind === 'loop') visit(s.body);
      else if (s.kind === 'map' && s.out === tile) {
        if (found) other = true;
        found = s;
      } else if (s.kind !== 'mma' && s.kind !== 'map' && s.kind !== 'scatter' && s.to === tile) other = true;
    }
  };
  visit(body);
  return other ? undefined : found;
}

function value(fx: Fx, row: number, s: readonly number[]): number {
  if (typeof fx === 'number') return fx;
  if ('s' in fx) return s[fx.s]!;
  if ('coord' in fx) return fx.coord === 'row' ? row : 0;
  if ('in' in fx) return 0;
  const a = value(fx.args[0]!, row, s);
  if (fx.f === 'select') return a !== 0 ? value(fx.args[1]!, row, s) : value(fx.args[2]!, row, s);
  const b = fx.args.length > 1 ? value(fx.args[1]!, row, s) : 0;
  switch (fx.f) {
    case 'fma':
      return a * b + value(fx.args[2]!, row, s);
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'max':
      return Math.max(a, b);
    case 'min':
      return Math.min(a, b);
    case 'lt':
      return a < b ? 1 : 0;
    case 'exp2':
      return 2 ** a;
    case 'log2':
      return Math.log2(a);
    case 'rcp':
      return 1 / a;
    case 'div':
      return a / b;
    case 'rsqrt':
      return 1 / Math.sqrt(a);
    case 'sqrt':
      return Math.sqrt(a);
    case 'sin':
      return Math.sin(a);
    case 'cos':
      return Math.cos(a);
    case 'tanh':
      return Math.tanh(a);
    case 'floor':
      return Math.floor(a);
    case 'round': {
      const low = Math.floor(a);
      return a - low > 0.5 || (a - low === 0.5 && low % 2 !== 0) ? low + 1 : low;
    }
  }
}
