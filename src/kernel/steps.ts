/**
 * A laid-out program as steps between which lanes may have to meet: one for each statement, and one for each step of a
 * reduction whose lanes meet in workgroup memory; with the barriers that they need.
 */
import { type LoopNode, type Meet, type Node, type Place, placeBarriers, type Work } from './barriers.js';
import { isTile, type Loop, ownerOf, type Program, type Reduce, type Stmt, type Tensor, type Tile } from './ir.js';
import { forEachStmt, type LanePlan, reductionIn } from './lane-plan.js';

export interface Step extends Work {
  readonly stmt: Exclude<Stmt, Loop>;
  /** Of a reduction: 0 folds what each lane holds, those after it are the steps of the lanes' meeting. */
  readonly part: number;
  /** Of a reduction that meets: in which of two places, which take turns so that none waits to be free again. */
  readonly scratch: 0 | 1;
}

/** Tensors that a program both reads and writes: lanes of a workgroup must wait for each other's stores. */
export function sharedTensors(program: Program): Set<Tensor> {
  const [read, written] = [new Set<Tensor>(), new Set<Tensor>()];
  forEachStmt(program.body, (s) => {
    if (s.kind === 'copy' && !isTile(s.from)) read.add(s.from.tensor);
    if (s.kind === 'gather') read.add(s.from.tensor);
    if ((s.kind === 'copy' || s.kind === 'scatter') && !isTile(s.to)) written.add(s.to.tensor);
  });
  return new Set([...read].filter((t) => written.has(t)));
}

/** Integers and floats meet in places of their own. */
const isWhole = (t: Tile): boolean => t.dtype.startsWith('int') || t.dtype.startsWith('uint');

/** Steps of the i-th statement of a body, with what an emitter does around them. */
export type Around = (s: Stmt, inner: Node<Step>[], body: readonly Stmt[], i: number) => Node<Step>[];

/** The program's steps, barriers placed. */
export function stepsOf(plan: LanePlan, around?: Around): Node<Step>[] {
  const { program, buffers } = plan;
  const places = { whole: [{}, {}], real: [{}, {}] } as const;
  const tensors = sharedTensors(program);
  const shared = (...tiles: readonly Tile[]): Place[] => tiles.filter((t) => t.level === 'shared');
  const tensor = (t: Tensor): Place[] => (tensors.has(t) ? [t] : []);
  let meetings = 0;
  const step = (
    stmt: Step['stmt'],
    reads: readonly Place[],
    writes: readonly Place[],
    part = 0,
    scratch: 0 | 1 = 0,
  ): Step => ({ kind: 'work', stmt, reads, writes, part, scratch, barrier: false });
  const reduction = (s: Reduce): Step[] => {
    const { parts, meeting } = reductionIn(plan, s);
    if (parts === 1) return [step(s, s.accumulate ? shared(s.from, s.to) : shared(s.from), shared(s.to))];
    const scratch = (meetings++ % 2) as 0 | 1;
    const place = places[isWhole(s.from) && isWhole(s.to) ? 'whole' : 'real'][scratch];
    const last = meeting.fans.length;
    return [
      step(s, shared(s.from), [place], 0, scratch),
      ...meeting.fans.slice(0, -1).map((_, i) => step(s, [place], [place], i + 1, scratch)),
      step(s, s.accumulate ? [place, ...shared(s.to)] : [place], shared(s.to), last, scratch),
    ];
  };
  const nodesOf = (s: Stmt): Node<Step>[] => {
    switch (s.kind) {
      case 'loop': {
        const alternating = new Set<Place>();
        for (const [t, indices] of buffers) if (indices.has(s.index)) alternating.add(t);
        const node: LoopNode<Step> = { kind: 'loop', loop: s, body: visit(s.body), alternating, barrier: false };
        return [node];
      }
      case 'copy': {
        const reads = isTile(s.from) ? shared(s.from) : tensor(s.from.tensor);
        return [step(s, reads, isTile(s.to) ? shared(s.to) : tensor(s.to.tensor))];
      }
      case 'mma':
        return [step(s, shared(s.a, s.b, s.acc), shared(s.acc))];
      case 'map':
        return [step(s, shared(...s.ins), shared(s.out))];
      case 'reduce':
        return reduction(s);
      case 'gather':
        return [step(s, [...shared(s.index), ...tensor(s.from.tensor)], shared(s.to))];
      case 'scatter':
        return [step(s, shared(s.index, s.from), tensor(s.to.tensor))];
    }
  };
  const visit = (body: readonly Stmt[]): Node<Step>[] =>
    body.flatMap((s, i) => (around ? around(s, nodesOf(s), body, i) : nodesOf(s)));
  const nodes = visit(program.body);
  placeBarriers(nodes, program.tiles.some((t) => t.part) ? meetOf(program) : undefined);
  return nodes;
}

/** Which places have something in common where tiles have parts. */
function meetOf(program: Program): Meet {
  const tiles = new Set<Place>(program.tiles);
  return (a, b) => a === b || (tiles.has(a) && tiles.has(b) && partsMeet(a as Tile, b as Tile));
}

/**
 * Whether two tiles have elements in common: parts with the same steps when whole steps lead from one to the other,
 * any others when the ranges that they span overlap.
 */
export function partsMeet(a: Tile, b: Tile): boolean {
  if (ownerOf(a) !== ownerOf(b)) return false;
  if (!a.part || !b.part) return true;
  const [first, second] = a.part.at <= b.part.at ? [a, b] : [b, a];
  const [p, q] = [first.part!, second.part!];
  const [down, across] = p.strides;
  const apart = q.at - p.at;
  if (apart > (first.rows - 1) * down + (first.cols - 1) * across) return false;
  if (down !== q.strides[0] || across !== q.strides[1]) return true;
  for (let r = 1 - second.rows; r < first.rows; r++) {
    const c = (apart - r * down) / across;
    if (Number.isInteger(c) && c > -second.cols && c < first.cols) return true;
  }
  return false;
}
