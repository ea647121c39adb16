import { describe, expect, it } from 'vitest';
import { runSteady } from '../../../src/engine/steady/steady.js';
import { COLD } from '../../../src/engine/types.js';
import type { Params } from '../../../src/kernel/kernel.js';
import { kernelByName } from '../../../src/kernel/library/index.js';
import { shippedMachine } from '../../kernel/machines.js';

const H100 = await shippedMachine('h100-sxm-datasheet');
const A100 = await shippedMachine('a100-sxm-80gb-datasheet');

type Size = readonly [m: number, n: number, k: number];

function run(kernel: string, [m, n, k]: Size, params: Params, machine: typeof H100) {
  const { toOp, build } = kernelByName(kernel);
  const op = toOp({ m, n, k, batch: 1 }, 'bf16');
  const [launch] = build(op, params, machine);
  return runSteady(launch!, machine, COLD);
}
const gemm = (size: Size, params: Params, machine: typeof H100) => run('gemm', size, params, machine);

// for each machine: a tile for large products, and a small one with as few buffers as there can be
const TILES = [
  {
    machine: H100,
    large: { bm: 128, bn: 256, bk: 64, stages: 4, groups_m: 2, groups_n: 1, panel: 8, cluster_n: 1, cluster_m: 2 },
    small: { bm: 64, bn: 64, bk: 64, stages: 2, groups_m: 1, groups_n: 1, panel: 1 },
  },
  {
    machine: A100,
    large: { bm: 128, bn: 256, bk: 32, stages: 3, groups_m: 2, groups_n: 4, panel: 8 },
    small: { bm: 64, bn: 64, bk: 32, stages: 2, groups_m: 2, groups_n: 2, panel: 1 },
  },
] as const;

describe.each(TILES.map((t) => [t.machine.name, t] as const))('what bounds a product on %s', (_, t) => {
  const { machine, large, small } = t;

  it('names the matrix unit where a large square product keeps it busy', () => {
    const r = gemm([4096, 4096, 4096], large, machine);
    expect(r.busy_s['matrix']! / r.time_s).toBeGreaterThan(0.5);
    expect(r.bound_by).toBe('matrix');
  });

  it('names the launch where the product is tiny', () => {
    expect(gemm([64, 64, 64], small, machine).bound_by).toBe('launch');
  });

  it('names latency where one tile walks a long reduction with few buffers', () => {
    const r = gemm([64, 64, 65536], small, machine);
    expect(r.bound_by).toBe('latency');
    for (const busy_s of Object.values(r.busy_s)) expect(busy_s).toBeLessThan(r.time_s / 10);
  });

  it('names DRAM where one row is multiplied by large weights', () => {
    const { toOp, candidates } = kernelByName('gemv');
    const size: Size = [1, 16384, 8192];
    let best: ReturnType<typeof run> | undefined;
    for (const params of candidates(toOp({ m: 1, n: 16384, k: 8192, batch: 1 }, 'bf16'), machine)) {
      const r = run('gemv', size, params, machine);
      if (!best || r.time_s < best.time_s) best = r;
    }
    expect(best!.bound_by).toBe('dram');
  });
});
