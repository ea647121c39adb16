/** The text of each step of a program, and the places in workgroup memory where reductions meet. */
import { isTile, type Program, type Tensor } from '../../kernel/ir.js';
import { forEachStmt } from '../../kernel/lane-plan.js';
import { stmtText } from '../../kernel/print.js';
import type { Step } from '../../kernel/steps.js';
import { emitMap, emitMma } from './compute.js';
import { emitCopy, emitGather, emitScatter } from './copy.js';
import { emitMatrixMma, isMatrixStep } from './matrix.js';
import { emitMeet, emitMeetStep, emitReduce, planReduce, type ReducePlan } from './reduce.js';
import type { Shader } from './shader.js';

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

export function emitStep(sh: Shader, step: Step): void {
  if (isMatrixStep(step)) {
    step.emit(sh);
    return;
  }
  const { stmt: s, part, scratch } = step;
  if (part === 0) sh.line(`// ${stmtText(s)}`);
  switch (s.kind) {
    case 'copy':
      sh.block('', () => emitCopy(sh, s));
      break;
    case 'gather':
      sh.block('', () => emitGather(sh, s));
      break;
    case 'scatter':
      sh.block('', () => emitScatter(sh, s));
      break;
    case 'mma':
      if (sh.plan.matrix) emitMatrixMma(sh, s);
      else emitMma(sh, s);
      break;
    case 'map':
      emitMap(sh, s);
      break;
    case 'reduce': {
      const p = planReduce(sh, s);
      const name = p.parts === 1 ? '' : scratchOf(p, scratch);
      if (part === 0) emitReduce(sh, s, p, name);
      else if (part < p.meeting.fans.length) emitMeetStep(sh, s, p, name, part - 1);
      else emitMeet(sh, s, p, name);
      break;
    }
  }
}
