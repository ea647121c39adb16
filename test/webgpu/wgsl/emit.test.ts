import { expect, it } from 'vitest';
import { InfeasibleError } from '../../../src/base/errors.js';
import { kernelByName } from '../../../src/kernel/library/index.js';
import { emitLaunches } from '../../../src/webgpu/program.js';
import type { Op } from '../../../src/workload/op.js';
import { WARP, WARPGROUP } from '../../kernel/library/plain-machines.js';
import { CASES, nameOf } from '../cases.js';
import { machineOf } from '../machine.js';

const LIMITS = { f16: true, workgroup_B: 32768, max_lanes: 1024, storage_buffers: 16 };
const PLAIN = machineOf({ limits: { maxComputeWorkgroupStorageSize: 32768, maxComputeInvocationsPerWorkgroup: 1024 } });

/** As many of a kernel's candidates as keep this test short. */
const CANDIDATES = 24;

it.each(CASES.map((c) => [nameOf(c), c] as const))(
  'every candidate of %s becomes WGSL, or is refused for its size',
  (_, c) => {
    const kernel = kernelByName(c.kernel);
    const op = { ...kernel.toOp(c.shape, c.dtype), ...c.op } as Op;
    let emitted = 0;
    let offered = 0;
    for (const [machine, workgroup_B] of [
      [PLAIN, 32768],
      [WARP, 1 << 20],
      [WARPGROUP, 1 << 20],
    ] as const) {
      if (kernel.rejects(op, machine)) continue;
      let tried = 0;
      for (const params of kernel.candidates(op, machine)) {
        if (tried++ === CANDIDATES) break;
        offered++;
        try {
          const shaders = emitLaunches(kernel.build(op, params, machine), { ...LIMITS, workgroup_B });
          for (const s of shaders) expect(s.wgsl).not.toMatch(/undefined|NaN|Infinity|\[object/);
          emitted++;
        } catch (e) {
          expect(e).toBeInstanceOf(InfeasibleError);
        }
      }
    }
    // some kernels offer nothing for so small an op
    if (offered > 0) expect(emitted).toBeGreaterThan(0);
  },
);
