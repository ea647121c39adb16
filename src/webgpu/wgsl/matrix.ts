/**
 * mma on the matrix units behind WGSL's subgroups: Dawn's experimental chromium_experimental_subgroup_matrix
 * (docs/dawn/features/subgroup_matrix.md in Dawn; gpuweb issue 4195), with f16 operands and f32 results.
 *
 * Matrices belong to subgroups and lanes cannot see into them. So where only products touch an accumulator (a region:
 * a main loop, mostly) it is held as matrices, a block of it in each subgroup; around the region it passes through
 * workgroup memory to or from the lanes' registers.
 */
import { InfeasibleError } from '../../base/errors.js';
import type { Node, Place } from '../../kernel/barriers.js';
import { copy, type Mma, type Program, type Stmt, type Tile } from '../../kernel/ir.js';
import type { SubgroupSizes } from '../../kernel/lanes.js';

import { tilesOf } from '../../kernel/stage.js';
import type { Step } from '../../kernel/steps.js';
import type { Plan, Shader } from './shader.js';
import { over, rest, sum, type Term, times } from './term.js';

/** Rows and columns of the result and depth of one product, of those the device offers. */
export interface MatrixShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** How an accumulator lies on the subgroups: `down` × `across` of them, each with rows × cols matrices. */
interface Blocks {
  readonly down: number;
  readonly across: number;
  readonly rows: number;
  readonly cols: number;
}

/** Statements in which only products touch the accumulators named with each. */
export function matrixRegions(program: Program): Map<Stmt, Tile[]> {
  const regions = new Map<Stmt, Tile[]>();
  const touches = (s: Stmt, t: Tile): 'not' | 'products' | 'others' => {
    if (s.kind === 'loop') {
      const all = s.body.map((x) => touches(x, t));
      return all.includes('others') ? 'others' : all.includes('products') ? 'products' : 'not';
    }
    if (s.kind === 'mma' && s.acc === t) return 'products';
    return tilesOf(s).includes(t) ? 'others' : 'not';
  };
  const accumulators = new Set<Tile>();
  const collect = (body: readonly Stmt[]): void => {
    for (const s of body)
      if (s.kind === 'loop') collect(s.body);
      else if (s.kind === 'mma') accumulators.add(s.acc);
  };
  collect(program.body);
  const find = (body: readonly Stmt[], t: Tile): void => {
    for (const s of body) {
      const how = touches(s, t);
      if (how === 'products') regions.set(s, [...(regions.get(s) ?? []), t]);
      else if (how === 'others' && s.kind === 'loop') find(s.body, t);
    }
  };
  for (const t of accumulators) find(program.body, t);
  return regions;
}

/** Whether an accumulator holds zeros before the i-th statement of a body, so that none need be fetched. */
function zeroBefore(body: readonly Stmt[], i: number, t: Tile, top: boolean): boolean {
  const touches = (s: Stmt): boolean => (s.kind === 'loop' ? s.body.some(touches) : tilesOf(s).includes(t));
  const last = body.slice(0, i).findLast(touches);
  return last === undefined ? top : last.kind === 'map' && last.out === t && last.fn.body === 0;
}

/** Throws InfeasibleError where a product does not go on the device's matrices. */
export function checkMatrices(sh: Shader, body: readonly Stmt[], shape: MatrixShape): void {
  for (const s of body) {
    if (s.kind === 'loop') checkMatrices(sh, s.body, shape);
    if (s.kind !== 'mma') continue;
    const { name } = sh.plan.program;
    const { a, b, acc } = s;
    const refuse = (why: string): never => {
      throw new InfeasibleError(`${name} cannot use subgroup matrices: ${why}`);
    };
    for (const t of [a, b])
      if (sh.type(t) !== 'f16') refuse(`operand ${t.name} is kept as ${sh.stored(t)}, they take f16`);
    if (acc.level !== 'register' || sh.type(acc) !== 'f32') refuse(`${acc.name} is no sum of f32 in registers`);
    const k = s.ta ? a.rows : a.cols;
    if (acc.rows % shape.m !== 0 || acc.cols % shape.n !== 0 || k % shape.k !== 0)
      refuse(
        `a product of ${acc.rows}×${acc.cols}×${k} is no whole number of the device's ${shape.m}×${shape.n}×${shape.k}`,
      );
    const [, most] = sh.plan.subgroup;
    if (most === 0) refuse('the device has no subgroups that are numbered');
    if (sh.plan.lanes % most !== 0)
      refuse(`${sh.plan.lanes} lanes are no whole subgroups, which have up to ${most} lanes here`);
  }
}

function blocksOf(acc: Tile, { m, n }: MatrixShape, lanes: number, [, most]: SubgroupSizes): Blocks {
  const [tall, wide] = [acc.rows / m, acc.cols / n];
  let best: Blocks | undefined;
  for (let down = 1; down <= tall; down++) {
    if (tall % down !== 0) continue;
    for (let across = 1; across <= wide; across++) {
      if (wide % across !== 0 || down * across > lanes / most) continue;
      const b = { down, across, rows: tall / down, cols: wide / across };
      const work = (x: Blocks) => x.rows * x.cols * 64 + x.rows + x.cols;
      if (!best || work(b) < work(best)) best = b;
    }
  }
  return best!;
}

/** A step that takes an accumulator between lanes and matrices. */
interface MatrixStep extends Step {
  readonly emit: (sh: Shader) => void;
}
export const isMatrixStep = (s: Step): s is MatrixStep => 'emit' in s;

const places = new WeakMap<Tile, Place>();
const placeOf = (t: Tile): Place => {
  const place = places.get(t) ?? {};
  places.set(t, place);
  return place;
};

/** A region of products, with its accumulators taken to matrices before and back to the lanes after. */
export function matrixSteps(plan: Plan, s: Stmt, inner: Node<Step>[], body: readonly Stmt[], i: number): Node<Step>[] {
  const accumulators = plan.regions.get(s);
  if (!accumulators) return inner;
  const step = (t: Tile, title: string, way: 'reads' | 'writes' | 'none', emit: (sh: Shader) => void): MatrixStep => ({
    kind: 'work',
    stmt: copy(t, t),
    reads: way === 'reads' ? [placeOf(t)] : [],
    writes: way === 'writes' ? [placeOf(t)] : [],
    part: 0,
    scratch: 0,
    barrier: false,
    emit: (sh) => {
      if (title !== '') sh.line(`// ${t.name} ${title}`);
      emit(sh);
    },
  });
  const before = accumulators.flatMap((t) =>
    zeroBefore(body, i, t, body === plan.program.body)
      ? [step(t, '', 'none', (sh) => emitZeroMatrices(sh, t))]
      : [
          step(t, 'to matrices', 'writes', (sh) => emitLanes(sh, t, 'leave')),
          step(t, '', 'reads', (sh) => emitMatrices(sh, t, 'fetch')),
        ],
  );
  const after = accumulators.flatMap((t) => [
    step(t, 'from matrices', 'writes', (sh) => emitMatrices(sh, t, 'leave')),
    step(t, '', 'reads', (sh) => emitLanes(sh, t, 'fetch')),
  ]);
  return [...before, ...inner, ...after];
}

/** Names of an accumulator's matrices, and of the workgroup memory through which it passes. */
const matricesOf = (sh: Shader, t: Tile): string => `${sh.name(t)}_matrices`;
export const wholeOf = (sh: Shader, t: Tile): string => `${sh.name(t)}_whole`;

const typeOf = (role: 'left' | 'right' | 'result', cols: number, rows: number): string =>
  `subgroup_matrix_${role}<${role === 'result' ? 'f32' : 'f16'}, ${cols}, ${rows}>`;

/** var acc_matrices: …; — once for each accumulator. */
export function declareMatrices(sh: Shader, acc: Tile): void {
  const shape = sh.plan.matrix!;
  const { rows, cols } = blocksOf(acc, shape, sh.plan.lanes, sh.plan.subgroup);
  sh.line(`var ${matricesOf(sh, acc)}: array<${typeOf('result', shape.n, shape.m)}, ${rows * cols}>;`);
}

/** Runs `body` on the subgroups that hold a block, with the first row and column of it. */
function onBlocks(sh: Shader, acc: Tile, body: (b: Blocks, row: Term, col: Term) => void): void {
  const shape = sh.plan.matrix!;
  const [least, most] = sh.plan.subgroup;
  const b = blocksOf(acc, shape, sh.plan.lanes, sh.plan.subgroup);
  const active = b.down * b.across;
  const number = 'subgroup_number';
  const all = least === most && active === sh.plan.lanes / most;
  const row = b.down === 1 ? 0 : times(over(number, b.across), b.rows * shape.m);
  const col = b.across === 1 ? 0 : times(b.down === 1 ? number : rest(number, b.across), b.cols * shape.n);
  sh.guarded(all ? [] : [`${number} < ${active}`], () => sh.block('', () => body(b, row, col)));
}

const eachOf = (b: Blocks, found: (i: number, j: number) => void): void => {
  for (let i = 0; i < b.rows; i++) for (let j = 0; j < b.cols; j++) found(i, j);
};

function emitZeroMatrices(sh: Shader, acc: Tile): void {
  const shape = sh.plan.matrix!;
  const b = blocksOf(acc, shape, sh.plan.lanes, sh.plan.subgroup);
  eachOf(b, (i, j) => sh.line(`${matricesOf(sh, acc)}[${i * b.cols + j}] = ${typeOf('result', shape.n, shape.m)}();`));
}

/** Between matrices and workgroup memory. */
function emitMatrices(sh: Shader, acc: Tile, way: 'fetch' | 'leave'): void {
  const shape = sh.plan.matrix!;
  onBlocks(sh, acc, (b, row, col) =>
    eachOf(b, (i, j) => {
      const at = sum(times(sum(row, i * shape.m), acc.cols), col, j * shape.n);
      const matrix = `${matricesOf(sh, acc)}[${i * b.cols + j}]`;
      const whole = `&${wholeOf(sh, acc)}`;
      sh.line(
        way === 'leave'
          ? `subgroupMatrixStore<row_major>(${whole}, ${at}, ${matrix}, ${acc.cols});`
          : `${matrix} = subgroupMatrixLoad<${typeOf('result', shape.n, shape.m)}, row_major>(${whole}, ${at}, ${acc.cols});`,
      );
    }),
  );
}

/** Between the lanes' registers and workgroup memory. */
function emitLanes(sh: Shader, acc: Tile, way: 'fetch' | 'leave'): void {
  sh.walk(acc, sh.share(acc).grid, (at) => {
    const place = `${wholeOf(sh, acc)}[${sum(times(at.r, acc.cols), at.c)}]`;
    sh.line(way === 'leave' ? `${place} = ${sh.element(acc, at)};` : `${sh.element(acc, at)} = ${place};`);
  });
}

/** acc += a·b on matrices: those of a row of blocks of a, and of a column of b, for each step of their depth. */
export function emitMatrixMma(sh: Shader, s: Mma): void {
  const { m, n, k } = sh.plan.matrix!;
  const { a, b, acc } = s;
  const depth = s.ta ? a.rows : a.cols;
  onBlocks(sh, acc, (blocks, row, col) =>
    sh.loop('kk', 0, depth / k, 1, (step) => {
      const kk = times(typeof step === 'number' ? step : `u32(${step})`, k);
      const load = (name: string, t: Tile, type: string, r: Term, c: Term, turned: boolean): void => {
        const [down, across] = turned ? [c, r] : [r, c];
        const start = sh.offset(t);
        const index = sum(typeof start === 'number' ? start : `u32(${start})`, times(down, t.cols), across);
        const unit = sh.isVec(t) ? 4 : 1;
        const order = turned ? 'col_major' : 'row_major';
        sh.line(
          `let ${name} = subgroupMatrixLoad<${type}, ${order}>(&${sh.name(t)}, ${over(index, unit)}, ${t.cols / unit});`,
        );
      };
      for (let i = 0; i < blocks.rows; i++)
        load(`left${i}`, a, typeOf('left', k, m), sum(row, i * m), kk, Boolean(s.ta));
      for (let j = 0; j < blocks.cols; j++)
        load(`right${j}`, b, typeOf('right', n, k), kk, sum(col, j * n), Boolean(s.tb));
      eachOf(blocks, (i, j) => {
        const matrix = `${matricesOf(sh, acc)}[${i * blocks.cols + j}]`;
        sh.line(`${matrix} = subgroupMatrixMultiplyAccumulate(left${i}, right${j}, ${matrix});`);
      });
    }),
  );
}
