/** Reductions on the lanes of a workgroup. */
import type { Reduce, ReduceOp } from '../../kernel/ir.js';
import { colAt } from './compute.js';
import { literal } from './fx.js';
import { gridFor, type LaneGrid, shareOf } from './layout.js';
import type { At, Shader } from './shader.js';
import { sum, type Term, times } from './term.js';
import { cast, type Scalar } from './types.js';

const COMBINE = {
  sum: (x: string, y: string) => `${x} + ${y}`,
  max: (x: string, y: string) => `max(${x}, ${y})`,
  min: (x: string, y: string) => `min(${x}, ${y})`,
} as const satisfies Record<ReduceOp, (x: string, y: string) => string>;
const NEUTRAL = {
  sum: 0,
  max: Number.NEGATIVE_INFINITY,
  min: Number.POSITIVE_INFINITY,
} as const satisfies Record<ReduceOp, number>;

/** A reduction in two parts with a meeting of the lanes between them, when lines lie across lanes. */
export interface ReducePlan {
  readonly grid: LaneGrid;
  /** Lanes that hold parts of one line, and lines. */
  readonly parts: number;
  readonly lines: number;
  /** How the lanes meet: not at all, by shuffles inside a subgroup, or in workgroup memory. */
  readonly meet: 'none' | 'shuffle' | 'memory';
}

export function planReduce(sh: Shader, s: Reduce, subgroup: number): ReducePlan {
  const near = [s.from, s.to].find((t) => t.level === 'register');
  const grid = near ? sh.share(near).grid : gridFor([s], [s.from], sh.plan.lanes);
  const extent = s.axis === 1 ? s.from.cols : s.from.rows;
  const parts = extent === 1 ? 1 : s.axis === 1 ? grid.across : grid.down;
  const lines = s.axis === 1 ? s.from.rows : s.from.cols;
  const whole = grid.down * grid.across === sh.plan.lanes;
  const shuffles = s.axis === 1 && whole && parts <= subgroup && Number.isInteger(Math.log2(parts));
  return { grid, parts, lines, meet: parts === 1 ? 'none' : shuffles ? 'shuffle' : 'memory' };
}

/** First part: each lane folds its share of a line; with `memory`, leaves it in `scratch`. Returns nothing to wait for otherwise. */
export function emitReduce(sh: Shader, s: Reduce, p: ReducePlan, scratch: string): void {
  const type: Scalar = sh.type(s.to) === 'i32' && sh.type(s.from) === 'i32' ? 'i32' : 'f32';
  const share = shareOf(s.from, p.grid);
  const [lr, lc] = [sh.laneRow(p.grid), sh.laneCol(p.grid)];
  const idle = p.grid.down * p.grid.across < sh.plan.lanes ? [`${lr} < ${p.grid.down}`] : [];
  const alongCols = s.axis === 1;
  const count = alongCols ? share.rows : share.cols;
  const length = alongCols ? share.cols : share.rows;
  const rowOf = (i: Term): Term => (s.from.rows === 1 ? 0 : sum(times(i, p.grid.down), lr));
  const colOf = (j: Term): Term => colAt(j, share, p.grid, lc, s.from);
  const raggedRows = s.from.rows > 1 && share.rows * p.grid.down !== s.from.rows;
  const raggedCols = s.from.cols > 1 && share.cols * p.grid.across !== s.from.cols;
  sh.guarded(idle, () =>
    sh.loop(alongCols ? 'i' : 'j', 0, count, 1, (line) => {
      const lineAt = alongCols ? rowOf(line) : colOf(line);
      const lineGuard = (alongCols ? raggedRows : raggedCols) ? [`${lineAt} < ${p.lines}`] : [];
      const whole = () => {
        sh.line(`var part = ${literal(NEUTRAL[s.op], type)};`);
        sh.loop(alongCols ? 'j' : 'i', 0, length, 1, (x) => {
          const [i, j] = alongCols ? [line, x] : [x, line];
          const at: At = { i, j, r: rowOf(i), c: colOf(j) };
          const edge = alongCols ? raggedCols && `${at.c} < ${s.from.cols}` : raggedRows && `${at.r} < ${s.from.rows}`;
          sh.guarded(edge ? [edge] : [], () => {
            const value = sh.read(s.from, at, type);
            sh.line(`part = ${COMBINE[s.op]('part', value)};`);
          });
        });
        if (p.meet === 'shuffle')
          for (let step = 1; step < p.parts; step *= 2)
            sh.line(`part = ${COMBINE[s.op]('part', `subgroupShuffleXor(part, ${step}u)`)};`);
        if (p.meet === 'memory') {
          sh.count('issued workgroup stores', 1);
          const kept = type === 'f32' ? 'part' : 'f32(part)';
          const alone = s.axis === 1 ? s.from.rows === 1 && p.grid.down > 1 : s.from.cols === 1 && p.grid.across > 1;
          sh.guarded(alone ? [`${alongCols ? lr : lc} == 0`] : [], () =>
            sh.line(`${scratch}[${sum(times(lineAt, p.parts), alongCols ? lc : lr)}] = ${kept};`),
          );
        } else finishLine(sh, s, p, line, lineAt, type);
      };
      sh.guarded(lineGuard, () => (count > 1 || lineGuard.length > 0 ? whole() : sh.block('', whole)));
    }),
  );
}

/** Second part, after a barrier: each lane that holds the line folds what the others left. */
export function emitReduceMeet(sh: Shader, s: Reduce, p: ReducePlan, scratch: string): void {
  const type: Scalar = sh.type(s.to) === 'i32' && sh.type(s.from) === 'i32' ? 'i32' : 'f32';
  const share = shareOf(s.from, p.grid);
  const [lr, lc] = [sh.laneRow(p.grid), sh.laneCol(p.grid)];
  const idle = p.grid.down * p.grid.across < sh.plan.lanes ? [`${lr} < ${p.grid.down}`] : [];
  const alongCols = s.axis === 1;
  const count = alongCols ? share.rows : share.cols;
  sh.guarded(idle, () =>
    sh.loop(alongCols ? 'i' : 'j', 0, count, 1, (line) => {
      const lineAt = alongCols
        ? s.from.rows === 1
          ? 0
          : sum(times(line, p.grid.down), lr)
        : colAt(line, share, p.grid, lc, s.from);
      const ragged = alongCols
        ? s.from.rows > 1 && share.rows * p.grid.down !== s.from.rows
        : s.from.cols > 1 && share.cols * p.grid.across !== s.from.cols;
      const whole = () => {
        sh.count('issued workgroup loads', p.parts);
        const at = (x: Term) => cast(`${scratch}[${sum(times(lineAt, p.parts), x)}]`, 'f32', type);
        sh.line(`var part = ${at(0)};`);
        sh.loop('other', 1, p.parts, 1, (x) => sh.line(`part = ${COMBINE[s.op]('part', at(x))};`), true);
        finishLine(sh, s, p, line, lineAt, type);
      };
      sh.guarded(ragged ? [`${lineAt} < ${p.lines}`] : [], () => (count > 1 || ragged ? whole() : sh.block('', whole)));
    }),
  );
}

/** to[line] = y, folded into what it holds when the reduction accumulates. */
function finishLine(sh: Shader, s: Reduce, p: ReducePlan, line: Term, lineAt: Term, type: Scalar): void {
  const at: At = s.axis === 1 ? { i: line, j: 0, r: lineAt, c: 0 } : { i: 0, j: line, r: 0, c: lineAt };
  const write = () => {
    const place = sh.element(s.to, at);
    const value = s.accumulate ? COMBINE[s.op](sh.read(s.to, at, type), 'part') : 'part';
    if (s.to.level === 'shared') sh.count('issued workgroup stores', 1);
    sh.line(`${place} = ${sh.convert(value, type, s.to)};`);
  };
  sh.guarded(s.to.level === 'shared' ? sh.leader(s.to, p.grid) : [], write);
}
