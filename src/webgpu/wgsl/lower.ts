/** A program as nodes: one per statement, with what it reads and writes in workgroup memory. */
import { isTile, type Loop, type Program, type Reduce, type Stmt, type Tensor, type Tile } from '../../kernel/ir.js';
import { stmtText } from '../../kernel/print.js';
import type { LoopNode, Node, Place, Work } from './barriers.js';
import { emitMap, emitMma } from './compute.js';
import { emitCopy, emitGather, emitScatter } from './copy.js';
import { emitReduce, emitReduceMeet, planReduce } from './reduce.js';
import type { Shader } from './shader.js';

/** The two places in workgroup memory where lanes meet in reductions; alternating, so that one barrier a meeting will do. */
const SCRATCH = ['meet0', 'meet1'] as const;
export function forScratch(sh: Shader, subgroup: number, found: (elements: number, name: string) => void): void {
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

/** One node per statement, two for a reduction whose lanes meet in workgroup memory. */
export function lower(sh: Shader, program: Program, subgroup: number): Node[] {
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

export function forEachStmt(body: readonly Stmt[], found: (s: Stmt) => void): void {
  for (const s of body) {
    found(s);
    if (s.kind === 'loop') forEachStmt(s.body, found);
  }
}
