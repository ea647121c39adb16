/** What a tile program may ask and WGSL cannot do, each with its reason. */
import { InfeasibleError } from '../../base/errors.js';
import type { Program, Stmt } from '../../kernel/ir.js';

/** Throws InfeasibleError for a program that no WebGPU device runs, whatever its size. */
export function refuseForeign(program: Program): void {
  const refuse = (why: string): never => {
    throw new InfeasibleError(`${program.name} cannot be a WebGPU shader: ${why}`);
  };
  for (const t of program.tensors)
    if (t.home !== undefined)
      refuse(`tensor ${t.name} lies in the memory '${t.home}'; a WebGPU device binds buffers of its own memory only`);
  const visit = (body: readonly Stmt[]): void => {
    for (const s of body) {
      if (s.kind === 'loop') visit(s.body);
      if (s.kind === 'mma' && s.sparse)
        refuse(
          `${s.acc.name} += ${s.a.name} · ${s.b.name} takes ${s.sparse} sparse operands; WGSL has no product of them, and a dense one would do twice the work that the program counts`,
        );
    }
  };
  visit(program.body);
}
