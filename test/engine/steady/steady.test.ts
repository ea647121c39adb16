import { expect, it } from 'vitest';
import { evaluateSteady, runSteady } from '../../../src/engine/steady/steady.js';
import { COLD } from '../../../src/engine/types.js';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import { kernelByName } from '../../../src/kernel/library/index.js';
import { shippedMachine } from '../../kernel/machines.js';

const H100 = await shippedMachine('h100-sxm');

// A machine by another identity has nothing worked out before.
it.each([
  ['gemm', { m: 1000, n: 3000, k: 500, batch: 1 }],
  ['gemm_split_k', { m: 100, n: 512, k: 5000, batch: 1 }],
  ['gemm', { m: 4096, n: 4096, k: 1024, batch: 1 }],
] as const)('what a search of %s finds of a choice does not depend on what it tried before', (name, shape) => {
  const kernel = kernelByName(name);
  const op = kernel.toOp(shape, 'bf16');
  let programs = 0;
  let launches = 0;
  let last: unknown;
  for (const params of kernel.candidates(op, H100))
    for (const launch of kernel.build(op, params, H100)) {
      if (launch.program !== last) programs++;
      last = launch.program;
      launches++;
      const fresh = { ...H100 };
      const fit = residency(launch, H100);
      expect(fit).toEqual(residency(launch, fresh));
      if (isMisfit(fit)) continue;
      const { time_s, energy_J } = evaluateSteady(launch, H100, COLD);
      const alone = runSteady(launch, fresh, COLD);
      expect([time_s, energy_J]).toEqual([alone.time_s, alone.energy_J]);
      expect(runSteady(launch, H100, COLD)).toEqual(alone);
    }
  // rasters and clusters share programs
  if (name === 'gemm') expect(programs).toBeLessThan(launches / 2);
});
