import { describe, expect, it } from 'vitest';
import { InfeasibleError, InputError } from '../../src/base/errors.js';
import { isMisfit, residency } from '../../src/kernel/fit.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { gemm } from '../../src/kernel/library/gemm.js';
import { contentOf, type Evaluate, type MapOptions, Mapper, mapOp } from '../../src/kernel/mapper.js';
import type { OpOf } from '../../src/workload/op.js';
import { OLD_WARPS, sketch, WARPGROUPS, WARPS } from './machines.js';

const op: OpOf<'matmul'> = gemm.toOp({ m: 512, n: 512, k: 512 }, 'fp16');

/** A stand-in for an engine: counts calls; time grows with workgroups and launches, energy with shared bytes. */
function counting(): Evaluate & { calls: number } {
  const evaluate = ((launches: readonly Launch[]) => {
    evaluate.calls++;
    let time_s = 0;
    let energy_J = 0;
    for (const { program } of launches) {
      time_s += 1e-3 * program.grid.reduce((count, g) => count * g.extent, 1);
      for (const t of program.tiles) if (t.level === 'shared') energy_J += t.rows * t.cols * t.stages * 1e-6;
    }
    return { time_s, energy_J: energy_J + 1e-3 };
  }) as Evaluate & { calls: number };
  evaluate.calls = 0;
  return evaluate;
}
const options = (more: Partial<MapOptions> = {}): MapOptions => ({ evaluate: counting(), ...more });

describe('the mapper picks', () => {
  it('the least time of all candidates that fit', () => {
    const seen: number[] = [];
    const evaluate = counting();
    const choice = mapOp(op, WARPS, {
      evaluate: (launches) => {
        const result = evaluate(launches)!;
        seen.push(result.time_s);
        return result;
      },
    });
    expect(choice.time_s).toBe(Math.min(...seen));
    expect(choice.tried).toBe(seen.length);
    expect(choice.tried).toBeGreaterThan(50);
  });
  it('by the objective', () => {
    const time = mapOp(op, WARPS, options());
    const energy = mapOp(op, WARPS, options({ objective: 'energy' }));
    const edp = mapOp(op, WARPS, options({ objective: 'edp' }));
    expect(energy.energy_J).toBeLessThan(time.energy_J);
    expect(time.time_s).toBeLessThan(energy.time_s);
    const product = (c: typeof edp) => c.time_s * c.energy_J;
    expect(product(edp)).toBeLessThanOrEqual(Math.min(product(time), product(energy)));
  });
  it('the first of equals', () => {
    const first = gemm.candidates(op, WARPS)[Symbol.iterator]().next().value;
    const choice = mapOp(op, WARPS, { evaluate: () => ({ time_s: 1, energy_J: 1 }) });
    expect(choice.params).toEqual(first);
  });
  it('the same again', () => {
    const again = () => {
      const { kernel, params, time_s } = mapOp({ ...op }, WARPS, options());
      return { kernel, params, time_s };
    };
    expect(again()).toEqual(again());
  });
  it('nothing that does not fit', () => {
    const choice = mapOp(op, OLD_WARPS, options());
    for (const launch of choice.launches) expect(isMisfit(residency(launch, OLD_WARPS))).toBe(false);
  });
  it('nothing from a result that is no number', () => {
    expect(() => mapOp(op, WARPS, { evaluate: () => ({ time_s: Number.NaN, energy_J: 1 }) })).toThrow(/time of gemm/);
  });
});

describe('the memo', () => {
  it('knows ops by what they compute, not by their place in a trace', () => {
    const mapper = new Mapper();
    const evaluate = counting();
    const first = mapper.map(op, WARPS, { evaluate });
    const { calls } = evaluate;
    const twin = { ...op, id: 'x', name: 'layer.7', repeat: 3, deps: ['y'], phase: 'prefill' };
    expect(mapper.map(twin, WARPS, { evaluate })).toBe(first);
    expect(evaluate.calls).toBe(calls);
    expect(contentOf(twin)).toBe(contentOf(op));
  });
  it.each<[string, Partial<MapOptions>]>([
    ['objective', { objective: 'energy' }],
    ['pins', { pins: { kernel: 'gemm' } }],
    ['context', { context: 'cold' }],
  ])('is apart by %s', (_, more) => {
    const mapper = new Mapper();
    const evaluate = counting();
    mapper.map(op, WARPS, { evaluate });
    const { calls } = evaluate;
    mapper.map(op, WARPS, { evaluate, ...more });
    expect(evaluate.calls).toBeGreaterThan(calls);
  });
  it('is apart by machine and by size', () => {
    const mapper = new Mapper();
    const base = mapper.map(op, WARPS, options());
    expect(mapper.map(op, WARPGROUPS, options())).not.toBe(base);
    expect(mapper.map({ ...op, k: 256 }, WARPS, options())).not.toBe(base);
  });
});

describe('pins', () => {
  it('hold the kernel', () => {
    const pinned = mapOp({ ...op, m: 8, k: 4096 }, WARPS, options({ pins: { kernel: 'gemm_split_k' } }));
    expect(pinned.kernel).toBe('gemm_split_k');
  });
  it('hold a whole tile, m, n and k being short for bm, bn and bk', () => {
    const params = { m: 128, n: 256, k: 64, stages: 3 };
    const { params: got } = mapOp(op, WARPS, options({ pins: { kernel: 'gemm', params } }));
    expect(got).toMatchObject({ bm: 128, bn: 256, bk: 64, stages: 3 });
  });
  it('hold one parameter and leave the others free', () => {
    const choice = mapOp(op, WARPS, options({ pins: { params: { bm: 64 } } }));
    expect(choice.params['bm']).toBe(64);
    expect(choice.tried).toBeGreaterThan(3);
  });
  it.each<[string, MapOptions['pins'], RegExp]>([
    [
      'a value out of range',
      { kernel: 'gemm', params: { bm: 100 } },
      /gemm: bm=100 is not legal; expected one of .*64/,
    ],
    [
      'an unknown parameter',
      { kernel: 'gemm', params: { stage: 2 } },
      /unknown parameter 'stage'; did you mean 'stages'/,
    ],
    ['an unknown kernel', { kernel: 'gem' }, /unknown kernel 'gem'; did you mean 'gemm'/],
    ['a kernel of another op', { kernel: 'softmax' }, /computes softmax ops, not matmul/],
    [
      'groups that do not divide the tile',
      { kernel: 'gemm', params: { bm: 16, bn: 16, bk: 32, stages: 2, groups_m: 3, groups_n: 1, panel: 1 } },
      /3×1 lane groups do not divide a 16×16 tile/,
    ],
  ])('refuse %s', (_, pins, message) => {
    const run = () => mapOp(op, WARPS, options({ pins }));
    expect(run).toThrow(InputError);
    expect(run).toThrow(message);
  });
  it('that do not fit say by how much, and the nearest choice that does', () => {
    const params = { bm: 128, bn: 256, bk: 64, stages: 6 };
    const run = () => mapOp(op, WARPGROUPS, options({ pins: { kernel: 'gemm', params } }));
    expect(run).toThrow(InfeasibleError);
    expect(run).toThrow(
      /bm=128,bn=256,bk=64,stages=6.* needs 288 KiB of shared memory, has 227 KiB; nearest that fits: /,
    );
    let text = '';
    try {
      run();
    } catch (e) {
      text = (e as Error).message;
    }
    const nearest = Object.fromEntries(
      text
        .split('nearest that fits: ')[1]!
        .split(',')
        .map((pair) => [pair.split('=')[0]!, Number(pair.split('=')[1])]),
    );
    expect(nearest).toMatchObject({ bm: 128, bn: 224, bk: 64, stages: 5 });
    expect(isMisfit(residency(gemm.build(op, nearest, WARPGROUPS)[0]!, WARPGROUPS))).toBe(false);
  });
});

describe('when nothing can run', () => {
  it('the reason names the machine and the formats', () => {
    const bare = { ...sketch({ name: 'bare' }), units: [] };
    expect(() => mapOp(op, bare, options())).toThrow(InfeasibleError);
    expect(() => mapOp(op, bare, options())).toThrow(
      /bare has neither a matrix instruction nor multiply–adds for fp16/,
    );
  });
  it('it says by how much the least one misses', () => {
    const tiny = sketch({ name: 'tiny', shared_B: 2048, mma: WARPS.units[0]!.mma });
    expect(() => mapOp(op, tiny, options({ pins: { kernel: 'gemm' } }))).toThrow(
      /gemm bm=.* on tiny needs .* KiB of shared memory, has 1 KiB/,
    );
  });
});
