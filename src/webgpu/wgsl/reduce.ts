/**
 * Reductions on the lanes of a workgroup: each lane folds its own elements; lanes of a subgroup that share a line meet
 * by subgroup operations, where the device has them; what is left meets in workgroup memory (kernel/meeting.ts).
 */
import type { Reduce, ReduceOp } from '../../kernel/ir.js';
import { reductionIn } from '../../kernel/lane-plan.js';
import { type LaneGrid, type Reduction, shareOf } from '../../kernel/lanes.js';
import { leftAfter } from '../../kernel/meeting.js';
import { colAt } from './compute.js';
import { literal } from './fx.js';
import type { At, Shader } from './shader.js';
import { over, rest, sum, type Term, times } from './term.js';
import type { Scalar } from './types.js';

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
const OF_SUBGROUP = { sum: 'subgroupAdd', max: 'subgroupMax', min: 'subgroupMin' } as const satisfies Record<
  ReduceOp,
  string
>;

/** How a reduction lies on the lanes, and the scalar type in which they fold and meet. */
export interface ReducePlan extends Reduction {
  readonly grid: LaneGrid;
  readonly type: 'f32' | 'i32';
}

export function planReduce(sh: Shader, s: Reduce): ReducePlan {
  const type = sh.type(s.to) === 'i32' && sh.type(s.from) === 'i32' ? 'i32' : 'f32';
  return { ...reductionIn(sh.plan, s), type };
}

/** What the parts of a reduction share: addresses, guards and the type they fold in. */
function linesOf(sh: Shader, s: Reduce, p: ReducePlan) {
  const share = shareOf(s.from, p.grid);
  const [lr, lc] = [sh.laneRow(p.grid), sh.laneCol(p.grid)];
  const alongCols = s.axis === 1;
  const rowOf = (i: Term): Term => (s.from.rows === 1 ? 0 : sum(times(i, p.grid.down), lr));
  const colOf = (j: Term): Term => colAt(j, share, p.grid, lc, s.from);
  const raggedRows = s.from.rows > 1 && share.rows * p.grid.down !== s.from.rows;
  const raggedCols = s.from.cols > 1 && share.cols * p.grid.across !== s.from.cols;
  const lineOf = alongCols ? rowOf : colOf;
  return {
    share,
    rowOf,
    colOf,
    lineOf,
    /** Lines and elements of a line that a lane holds. */
    count: alongCols ? share.rows : share.cols,
    length: alongCols ? share.cols : share.rows,
    /** Place of this lane among those of its lines. */
    place: alongCols ? lc : lr,
    /** Conditions on lanes that stand outside the grid, and on lines past the tile's edge. */
    idle: p.grid.down * p.grid.across < sh.plan.lanes ? [`${lr} < ${p.grid.down}`] : [],
    inside: (lineAt: Term): string[] =>
      (alongCols ? raggedRows : raggedCols) ? [`${lineAt} < ${alongCols ? s.from.rows : s.from.cols}`] : [],
    edge: (at: At): string[] =>
      alongCols ? (raggedCols ? [`${at.c} < ${s.from.cols}`] : []) : raggedRows ? [`${at.r} < ${s.from.rows}`] : [],
    /** Where lines lie on other lanes too, the same ones: only the first of them takes part before the last step. */
    first: alongCols
      ? s.from.rows === 1 && p.grid.down > 1
        ? [`${lr} == 0`]
        : []
      : s.from.cols === 1 && p.grid.across > 1
        ? [`${lc} == 0`]
        : [],
  };
}

/** First part: each lane folds its share of a line, with its neighbours' where subgroups do; leaves it in `scratch`, if any. */
export function emitReduce(sh: Shader, s: Reduce, p: ReducePlan, scratch: string): void {
  const l = linesOf(sh, s, p);
  const alongCols = s.axis === 1;
  const { lanes: near, by } = p.near;
  sh.guarded(l.idle, () =>
    sh.loop(alongCols ? 'i' : 'j', 0, l.count, 1, (line) => {
      const lineAt = l.lineOf(line);
      const inside = l.inside(lineAt);
      const fold = () =>
        sh.loop(alongCols ? 'j' : 'i', 0, l.length, 1, (x) => {
          const [i, j] = alongCols ? [line, x] : [x, line];
          const at: At = { i, j, r: l.rowOf(i), c: l.colOf(j) };
          sh.guarded(l.edge(at), () => {
            const value = sh.read(s.from, at, p.type);
            sh.line(`part = ${COMBINE[s.op]('part', value)};`);
          });
        });
      const leave = () => {
        if (p.parts === 1) return finishLine(sh, s, p, line, lineAt);
        // lanes past the elements of a line hold nothing
        const holds = near === 1 && p.parts < p.along ? [`${l.place} < ${p.parts}`] : [];
        const leader = near > 1 ? [`${rest(l.place, near)} == 0`] : [];
        sh.guarded([...l.first, ...holds, ...leader], () => {
          sh.count('issued workgroup stores', 1);
          const own = by === 'subgroup' && near > 1 ? ownPart(sh, s, p) : 'part';
          sh.line(`${scratch}[${sum(times(lineAt, p.parts), over(l.place, near))}] = ${own};`);
        });
      };
      const whole = () => {
        sh.line(`var part = ${literal(NEUTRAL[s.op], p.type)};`);
        if (by === 'none') {
          fold();
          leave();
          return;
        }
        // all lanes of a subgroup must come to its operations together
        sh.guarded(inside, fold);
        if (by === 'subgroup') sh.line(`part = ${OF_SUBGROUP[s.op]}(part);`);
        else
          for (let step = 1; step < near; step *= 2)
            sh.line(`part = ${COMBINE[s.op]('part', `subgroupShuffleXor(part, ${step}u)`)};`);
        sh.guarded(inside, leave);
      };
      const guards = by === 'none' ? inside : [];
      sh.guarded(guards, () => (l.count > 1 || guards.length > 0 ? whole() : sh.block('', whole)));
    }),
  );
}

/** A subgroup may be larger than the least one: only its first lane leaves the part, others in its places leave nothing. */
const ownPart = (sh: Shader, s: Reduce, p: ReducePlan): string =>
  sh.plan.subgroup[0] === sh.plan.subgroup[1]
    ? 'part'
    : `select(${literal(NEUTRAL[s.op], p.type)}, part, subgroup_lane == 0u)`;

/** A step of the tree before its last: the lanes of a line share its folds out among them. */
export function emitMeetStep(sh: Shader, s: Reduce, p: ReducePlan, scratch: string, step: number): void {
  const l = linesOf(sh, s, p);
  let before = p.parts;
  for (const fan of p.meeting.fans.slice(0, step)) before = leftAfter(before, fan);
  const fan = p.meeting.fans[step]!;
  const left = leftAfter(before, fan);
  const items = l.count * left;
  sh.guarded([...l.idle, ...l.first], () =>
    sh.loop('q', 0, Math.ceil(items / p.along), 1, (q) => {
      const item = sum(times(q, p.along), l.place);
      sh.guarded(items % p.along === 0 ? [] : [`${item} < ${items}`], () =>
        sh.block('', () => {
          const line = l.count === 1 ? 0 : named(sh, 'line', over(item, left));
          const piece = l.count === 1 ? item : named(sh, 'piece', rest(item, left));
          const lineAt = l.lineOf(line);
          sh.guarded(l.inside(lineAt), () => {
            const start = named(sh, 'base', sum(times(lineAt, p.parts), piece));
            foldAt(sh, s, scratch, start, fan, left, (x) =>
              before === fan * left ? undefined : `${sum(piece, times(x, left))} < ${before}`,
            );
            sh.count('issued workgroup stores', 1);
            sh.line(`${scratch}[${start}] = part;`);
          });
        }),
      );
    }),
  );
}

/** The last step: each lane that holds a line folds what is left of it. */
export function emitMeet(sh: Shader, s: Reduce, p: ReducePlan, scratch: string): void {
  const l = linesOf(sh, s, p);
  const fan = p.meeting.fans.at(-1)!;
  sh.guarded(l.idle, () =>
    sh.loop(s.axis === 1 ? 'i' : 'j', 0, l.count, 1, (line) => {
      const lineAt = l.lineOf(line);
      const inside = l.inside(lineAt);
      const whole = () => {
        foldAt(sh, s, scratch, times(lineAt, p.parts), fan, 1, () => undefined);
        finishLine(sh, s, p, line, lineAt);
      };
      sh.guarded(inside, () => (l.count > 1 || inside.length > 0 ? whole() : sh.block('', whole)));
    }),
  );
}

/** var part = the values at start, start + stride, …, `fan` of them; of the first there always is one. */
function foldAt(
  sh: Shader,
  s: Reduce,
  scratch: string,
  start: Term,
  fan: number,
  stride: number,
  there: (x: Term) => string | undefined,
): void {
  sh.count('issued workgroup loads', 1);
  sh.line(`var part = ${scratch}[${start}];`);
  sh.loop(
    'other',
    1,
    fan,
    1,
    (x) => {
      const condition = there(x);
      sh.guarded(condition ? [condition] : [], () => {
        sh.count('issued workgroup loads', 1);
        sh.line(`part = ${COMBINE[s.op]('part', `${scratch}[${sum(start, times(x, stride))}]`)};`);
      });
    },
    true,
  );
}

function named(sh: Shader, name: string, x: Term): Term {
  if (typeof x === 'number' || /^\w+$/.test(x)) return x;
  sh.line(`let ${name} = ${x};`);
  return name;
}

/** to[line] = part, folded into what it holds when the reduction accumulates. */
function finishLine(sh: Shader, s: Reduce, p: ReducePlan, line: Term, lineAt: Term): void {
  const at: At = s.axis === 1 ? { i: line, j: 0, r: lineAt, c: 0 } : { i: 0, j: line, r: 0, c: lineAt };
  const type: Scalar = p.type;
  const write = () => {
    const place = sh.element(s.to, at);
    const value = s.accumulate ? COMBINE[s.op](sh.read(s.to, at, type), 'part') : 'part';
    if (s.to.level === 'shared') sh.count('issued workgroup stores', 1);
    sh.line(`${place} = ${sh.convert(value, type, s.to)};`);
  };
  sh.guarded(s.to.level === 'shared' ? sh.leader(s.to, p.grid) : [], write);
}
