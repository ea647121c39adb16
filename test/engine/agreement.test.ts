/**
 * `steady` beside `event`: a fixed sample of the cases, on one GPU of each generation. The whole set, a thousand and more,
 * is measured by the bench. Figures reached with a little slack; what lies outside is printed, not hidden.
 */
import { expect, test } from 'vitest';
import { shippedMachine } from '../kernel/machines.js';
import { cases, measure, type Pair, quantile } from './agreement-cases.js';

const MACHINES = [
  'v100-pcie-32gb',
  't4',
  'a100-sxm-80gb-datasheet',
  'l40s-datasheet',
  'h100-sxm-datasheet',
  'b200-sxm-datasheet',
];
/** Over the whole set: 1.5 % and 7.7 %. */
const MEDIAN = 0.022;
const NINETIETH = 0.105;
/** More work for `event` than this is left to the bench. */
const MOST_BYTES = 40e6;

test('steady and event agree on kernels of every kind', async () => {
  const machines = await Promise.all(MACHINES.map(shippedMachine));
  const pairs: Pair[] = [];
  for (const c of cases(machines, 1)) {
    const bytes = c.launch.program.tensors.reduce((s, t) => s + t.dims.reduce((p, x) => p * x, 1), 0);
    if (bytes < MOST_BYTES) pairs.push(measure(c));
  }
  expect(pairs.length).toBeGreaterThan(250);
  const median = quantile(pairs, 0.5);
  const ninetieth = quantile(pairs, 0.9);
  const worst = pairs.reduce((a, b) => (Math.abs(b.difference) > Math.abs(a.difference) ? b : a));
  const percent = (x: number) => `${(x * 100).toFixed(1)} %`;
  process.stderr.write(
    `steady against event, ${pairs.length} cases: median ${percent(median)}, 90th percentile ${percent(ninetieth)}, ` +
      `worst ${percent(worst.difference)} (${worst.case.launch.program.name} on ${worst.case.machine.name})\n`,
  );
  expect(median).toBeLessThan(MEDIAN);
  expect(ninetieth).toBeLessThan(NINETIETH);

  for (const { case: c, steady, event } of pairs) {
    const name = `${c.launch.program.name} on ${c.machine.name}`;
    // what is asked for and computed is not an estimate
    expect(steady.requested_B, name).toEqual(event.requested_B);
    expect(steady.flops_executed, name).toBeCloseTo(event.flops_executed, 0);
  }
}, 120_000);
