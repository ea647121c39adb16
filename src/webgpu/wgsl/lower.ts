/** A program as nodes: one per statement, with what it reads and writes in workgroup memory. */
import { isTile, type Loop, type Program, type Reduce, type Stmt, type Tensor, type Tile } from '../../kernel/ir.js';
import { stmtText } from '../../kernel/print.js';
import type { LoopNode, Node, Place, Work } from './barriers.js';
import { emitMap, emitMma } from './compute.js';
import { emitCopy, emitGather, emitScatter } from './copy.js';
import { emitMeet, emitMeetStep, emitReduce, planReduce, type ReducePlan } from './reduce.js';
import type { Shader } from './shader.js';

/** The two places in workgroup memory where lanes meet in reductions; alternating, so that none waits to be free again. */
const SCRATCH = { f32: ['meet0', 'meet1'], i32: ['count0', 'count1'] } as const;
const scratchOf = (p: ReducePlan, n: number): string => SCRATCH[p.type][n % 2]!;

export function forScratch(sh: Shader, found: (elements: number, name: string, type: 'f32' | 'i32') => void): void {
  const sizes = new Map<string, { elements: number; type: 'f32' | 'i32' }>();
  let n = 0;
  forEachStmt(sh.plan.program.body, (s) => {
    if (s.kind !== 'reduce') return;
    const p = planReduce(sh, s);
    if (p.parts === 1) return;
    const name = scratchOf(p, n++);
    const lines = s.axis === 1 ? s.from.rows : s.from.cols;
    sizes.set(name, { type: p.type, elements: Math.max(sizes.get(name)?.elements ?? 0, lines * p.parts) });
  });
  for (const [name, { elements, type }] of sizes) found(elements, name, type);
}

/** Tensors that some statement touches; others are not bound. */
export function tensorsOf(program: Program): Set<Tensor> {
  const used = new Set<Tensor>();
  forEachStmt(program.body, (s) => {
    if (s.kind === 'copy') for (const x of [s.from, s.to]) if (!isTile(x)) used.add(x.tensor);
    if (s.kind === 'gather') used.add(s.from.tensor);
    if (s.kind === 'scatter') used.add(s.to.tensor);
  });
  return used;
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

/** One node per statement, and one for each step of a reduction whose lanes meet in workgroup memory. */
export function lower(sh: Shader, program: Program): Node[] {
  const places = new Map<string, Place>(
    Object.values(SCRATCH).flatMap((names) => names.map((name) => [name, { name }])),
  );
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
    const p = planReduce(sh, s);
    const held = s.accumulate ? shared(s.from, s.to) : shared(s.from);
    if (p.parts === 1) return [work(stmtText(s), held, shared(s.to), () => emitReduce(sh, s, p, ''))];
    const name = scratchOf(p, meetings++);
    const place = places.get(name)!;
    return [
      work(stmtText(s), shared(s.from), [place], () => emitReduce(sh, s, p, name)),
      ...p.meeting.fans
        .slice(0, -1)
        .map((_, step) => work('', [place], [place], () => emitMeetStep(sh, s, p, name, step))),
      work('', s.accumulate ? [place, ...shared(s.to)] : [place], shared(s.to), () => emitMeet(sh, s, p, name)),
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

export function forEachStmt(body: readonly Stmt[], found: (s: Stmt) => void): void {
  for (const s of body) {
    found(s);
    if (s.kind === 'loop') forEachStmt(s.body, found);
  }
}
