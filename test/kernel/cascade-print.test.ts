import { expect, it } from 'vitest';
import { openMachine } from '../../src/cli/files.js';
import { cascadeOf, hasCascade } from '../../src/kernel/cascade.js';
import { cascadeText } from '../../src/kernel/cascade-print.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { kernelByName } from '../../src/kernel/library/index.js';

it.each([
  [
    'attention_one_pass',
    'fusemax',
    { bq: 64, bkv: 16, interleave: 1 },
    /RM\[.*j\+1\] = max\(RM\[.*j\], LM\[.*j\]\)/,
    /1 pass over 128; handed on .*: RM, RD, RNV/,
  ],
  [
    'attention_rows_kept',
    'flat',
    { bq: 64, tiles: 1, spill: 0 },
    /SN\[.*\] = exp2\(sub\(QK\[.*\], GM\[.*\]\)\)/,
    /3 passes over 128; what lives on grows with it: QK .*SN/,
  ],
] as const)('%s', async (name, machine, params, einsum, passes) => {
  const kernel = kernelByName(name) as Kernel;
  const { graph } = await openMachine(machine);
  const op = kernel.toOp({ heads: 2, q_len: 64, kv_len: 128, head_dim: 16 }, 'fp16');
  const c = cascadeOf(kernel.build(op, params, graph)[0]!.program);
  if (!hasCascade(c)) throw new Error(c.reason);
  expect(cascadeText(c)).toMatch(einsum);
  expect(cascadeText(c)).toMatch(passes);
});
