/**
 * Laws that hold on any machine for any op: nothing beats the bound, better hardware is never slower, parts sum to totals,
 * what is counted has its closed form, and a run says the same twice.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/base/dtype.js';
import { runBound } from '../../src/engine/bound.js';
import { runEvent } from '../../src/engine/event/run.js';
import { evaluateLaunches, inSequence, runLaunches } from '../../src/engine/run.js';
import { simulate } from '../../src/engine/simulate.js';
import { evaluateSteady, runSteady } from '../../src/engine/steady/steady.js';
import { COLD, type Context, type RunResult } from '../../src/engine/types.js';
import { isMisfit, residency } from '../../src/kernel/fit.js';
import { interpret } from '../../src/kernel/interpret.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { type AnyKernel, kernelByName } from '../../src/kernel/library/index.js';
import { Mapper } from '../../src/kernel/mapper.js';
import type { ResourceGraph } from '../../src/machine/graph.js';
import { compulsoryBytesOf, flopsOf, type Op, type Trace } from '../../src/workload/op.js';
import { inputsOf, values } from '../kernel/library/run.js';
import { shippedMachine } from '../kernel/machines.js';
import { arbitraryGraph, SAME, scaled } from '../machine/arbitrary.js';

const size = (max: number) => fc.integer({ min: 1, max });

/** An op and a kernel that computes it. */
interface Problem {
  readonly kernel: AnyKernel;
  readonly shape: Record<string, number>;
}
const problem = (name: string, shape: Record<string, fc.Arbitrary<number>>): fc.Arbitrary<Problem> =>
  fc.record(shape).map((s) => {
    const kernel: AnyKernel = Object.create(kernelByName(name), { [fc.toStringMethod]: { value: () => name } });
    const full: Record<string, number> = {};
    for (const [key, k] of Object.entries(kernel.shape)) {
      const value = (s as Record<string, number>)[key] ?? k.default;
      if (value !== undefined) full[key] = value;
    }
    return { kernel, shape: full };
  });
const attention = {
  batch: size(3),
  heads: fc.constantFrom(4, 8),
  kv_heads: fc.constantFrom(2, 4),
  head_dim: fc.constantFrom(32, 64, 128),
};

/** Problems of each kind, from tiny to a few milliseconds of simulation. */
const arbitraryProblem = (max: number): fc.Arbitrary<Problem> =>
  fc.oneof(
    problem('gemm', { m: size(max), n: size(max), k: size(max), batch: size(3) }),
    problem('gemm_split_k', { m: size(64), n: size(max), k: size(4 * max), batch: size(2) }),
    problem('gemm_stream_k', { m: size(max), n: size(max), k: size(max) }),
    problem('gemv', { m: size(4), n: size(2 * max), k: size(2 * max) }),
    problem('attention_fused', { ...attention, q_len: size(max), causal: fc.constantFrom(0, 1) }),
    problem('attention_split', { ...attention, q_len: fc.constant(1), kv_len: size(2 * max) }),
    problem('attention_two_pass', { ...attention, q_len: size(max), causal: fc.constantFrom(0, 1) }),
    problem('attention_unfused', { ...attention, q_len: size(max), causal: fc.constantFrom(0, 1) }),
    problem('softmax', { rows: size(max), cols: size(2 * max) }),
    problem('layernorm', { rows: size(max), cols: size(2 * max) }),
    problem('rmsnorm', { rows: size(max), cols: size(2 * max) }),
    problem('elementwise', { op: size(8), n: size(max * max) }),
    problem('transpose', { rows: size(max), cols: size(max) }),
    problem('reduce', { rows: size(max), cols: size(2 * max) }),
    problem('fft', {
      n: fc.integer({ min: 1, max: Math.ceil(Math.log2(max)) + 4 }).map((e) => 2 ** e),
      batch: size(max),
    }),
  );

/** One choice of those that fit, by a number from 0 to 1; undefined when none does. */
function launchesOf(
  p: Problem,
  machine: ResourceGraph,
  pick: number,
): { op: Op; launches: readonly Launch[] } | undefined {
  const op = p.kernel.toOp(p.shape, 'fp16');
  if (p.kernel.rejects(op, machine)) return undefined;
  const params = [...p.kernel.candidates(op, machine)];
  for (let i = 0; i < params.length; i++) {
    const launches = p.kernel.build(op, params[(Math.floor(pick * params.length) + i) % params.length]!, machine);
    if (launches.every((l) => !isMisfit(residency(l, machine)))) return { op, launches };
  }
  return undefined;
}

const pick = fc.double({ min: 0, max: 0.999, noNaN: true });
const nominal = (m: ResourceGraph): Context => ({ ...COLD, clock_Hz: m.control.clock.nominal_Hz });

/** Better than `slack` times is not slower: sums round. */
const ROUNDING = 1 + 1e-9;

describe('nothing is faster than the bound', () => {
  test.each(['steady', 'event'] as const)(
    '%s',
    (fidelity) => {
      fc.assert(
        fc.property(arbitraryGraph(), arbitraryProblem(500), pick, (machine, p, at) => {
          const found = launchesOf(p, machine, at);
          fc.pre(found !== undefined);
          const context = nominal(machine);
          const run = inSequence(runLaunches(found.launches, machine, context, fidelity));
          const bound = runBound(found.op, machine, context);
          expect(bound.time_s).toBeLessThanOrEqual(run.time_s * ROUNDING);
        }),
        { numRuns: fidelity === 'event' ? 150 : 400, seed: 1 },
      );
    },
    60_000,
  );
});

describe('better hardware is never slower', () => {
  const better = fc.constantFrom(
    { ...SAME, dram: 1.5 },
    { ...SAME, dram: 4 },
    { ...SAME, l2: 2 },
    { ...SAME, near: 2 },
    { ...SAME, cores: 1.25 },
    { ...SAME, cores: 2 },
    { ...SAME, clock: 1.3 },
    { ...SAME, clock: 2 },
  );

  test('under bound', () => {
    fc.assert(
      fc.property(arbitraryGraph(), arbitraryProblem(3000), better, (machine, p, by) => {
        const op = p.kernel.toOp(p.shape, 'fp16');
        const after = runBound(op, scaled(machine, by), COLD).time_s;
        expect(after).toBeLessThanOrEqual(runBound(op, machine, COLD).time_s * ROUNDING);
      }),
      { numRuns: 500, seed: 2 },
    );
  });

  test('under steady with the mapping free and the power cap off', () => {
    const best = (op: Op, machine: ResourceGraph) =>
      new Mapper().map(op, machine, { evaluate: (l) => evaluateLaunches(l, machine, nominal(machine)) });
    fc.assert(
      fc.property(arbitraryGraph(), arbitraryProblem(1500), better, (machine, p, by) => {
        const op = p.kernel.toOp(p.shape, 'fp16');
        fc.pre(p.kernel.rejects(op, machine) === undefined);
        const before = best(op, machine);
        const after = scaled(machine, by);
        // what was best stays a choice, though not one that is tried where another core count suggests other splits
        const kept = evaluateLaunches(before.launches, after, nominal(after)).time_s;
        expect(Math.min(kept, best(op, after).time_s)).toBeLessThanOrEqual(before.time_s * ROUNDING);
      }),
      { numRuns: 400, seed: 3 },
    );
  }, 60_000);
});

const sum = (x: Readonly<Record<string, number>>) => Object.values(x).reduce((a, b) => a + b, 0);

function conserved(r: RunResult, machine: ResourceGraph): void {
  expect(sum(r.energy_by_part_J) / r.energy_J).toBeCloseTo(1, 12);
  expect(r.power_W).toBeCloseTo(r.energy_J / r.time_s, 9);
  expect(r.power_W).toBeLessThanOrEqual(machine.control.power_cap_W * ROUNDING);
  expect(r.launch_s).toBeLessThan(r.time_s);
  for (const x of [...Object.values(r.energy_by_part_J), ...Object.values(r.busy_s)])
    expect(x).toBeGreaterThanOrEqual(0);
}

test('parts of the energy sum to it, power stays within the cap, runs repeat, searches see the same numbers', () => {
  fc.assert(
    fc.property(arbitraryGraph(), arbitraryProblem(2500), pick, (machine, p, at) => {
      const found = launchesOf(p, machine, at);
      fc.pre(found !== undefined);
      for (const l of found.launches) {
        const r = runSteady(l, machine, COLD);
        conserved(r, machine);
        expect(runSteady(l, machine, COLD)).toEqual(r);
        const light = evaluateSteady(l, machine, COLD);
        expect([light.time_s, light.energy_J]).toEqual([r.time_s, r.energy_J]);
      }
    }),
    { numRuns: 300, seed: 4 },
  );
});

test('power stays within the cap when the cap binds', async () => {
  const h100 = await shippedMachine('h100-sxm');
  fc.assert(
    fc.property(fc.integer({ min: 105, max: 700 }), arbitraryProblem(4000), pick, (cap, p, at) => {
      const machine = { ...h100, control: { ...h100.control, power_cap_W: cap } };
      const found = launchesOf(p, machine, at);
      fc.pre(found !== undefined);
      for (const l of found.launches) {
        const r = runSteady(l, machine, COLD);
        conserved(r, machine);
        expect(r.time_s).toBeGreaterThanOrEqual(runSteady(l, machine, nominal(machine)).time_s / ROUNDING);
      }
    }),
    { numRuns: 300, seed: 5 },
  );
});

test('steady, event and the interpreter ask for the same bytes and compute the same', async () => {
  const machines = await Promise.all(['h100-sxm', 'a100-sxm-80gb', 'v100-pcie-32gb'].map(shippedMachine));
  fc.assert(
    fc.property(fc.constantFrom(...machines), arbitraryProblem(90), pick, (machine, p, at) => {
      const found = launchesOf(p, machine, at);
      fc.pre(found !== undefined);
      const memory = inputsOf(found.launches);
      for (const l of found.launches) {
        for (const t of l.program.tensors) memory[t.name] ??= values(t);
        const given = Object.fromEntries(l.program.tensors.map((t) => [t.name, memory[t.name]!]));
        const exact = interpret(l.program, given);
        for (const r of [runSteady(l, machine, COLD), runEvent(l, machine, COLD)]) {
          expect(r.requested_B['dram'], l.program.name).toEqual(exact.requested_B.level.global);
          expect(r.requested_B['shared'], l.program.name).toEqual(exact.requested_B.level.shared);
          expect(r.requested_B['register'], l.program.name).toEqual(exact.requested_B.level.register);
          expect(r.flops_executed, l.program.name).toBeCloseTo(exact.flops_executed, 3);
        }
      }
    }),
    { numRuns: 120, seed: 6 },
  );
}, 60_000);

test('useful work and compulsory bytes have their closed forms', () => {
  fc.assert(
    fc.property(size(5000), size(5000), size(5000), size(8), (m, n, k, batch) => {
      const op = kernelByName('gemm').toOp({ m, n, k, batch }, 'fp16');
      const b = bytesOf('fp16');
      expect(flopsOf(op)).toBe(2 * batch * m * n * k);
      const { read_B, write_B } = compulsoryBytesOf(op);
      expect([read_B, write_B]).toEqual([batch * b * (m * k + k * n), batch * b * m * n]);
    }),
  );
});

test('what is moved from memory is at least what the op must read, where nothing is cached', () => {
  fc.assert(
    fc.property(arbitraryGraph(), size(2000), size(2000), size(2000), pick, (machine, m, n, k, at) => {
      const found = launchesOf({ kernel: kernelByName('gemm'), shape: { m, n, k, batch: 1 } }, machine, at);
      fc.pre(found !== undefined);
      const r = inSequence(runLaunches(found.launches, machine, COLD, 'steady'));
      const { read_B, write_B } = compulsoryBytesOf(found.op);
      expect(r.moved_B['dram']!.read_B).toBeGreaterThanOrEqual(read_B / ROUNDING);
      expect(r.moved_B['dram']!.write_B).toBeGreaterThanOrEqual(write_B / ROUNDING);
      expect(r.flops_executed).toBeGreaterThanOrEqual(flopsOf(found.op));
    }),
    { numRuns: 200, seed: 7 },
  );
});

test('twice the repeats are twice the work', async () => {
  const machine = await shippedMachine('a100-sxm-80gb');
  const mapper = new Mapper();
  fc.assert(
    fc.property(arbitraryProblem(1000), size(50), (p, repeat) => {
      const op: Op = p.kernel.toOp(p.shape, 'fp16');
      fc.pre(p.kernel.rejects(op, machine) === undefined);
      const trace = (n: number): Trace => ({
        name: 'one op',
        source: {},
        parameters: 0,
        devices: 1,
        footprint_B: { weights: 0, kv_cache: 0, activations: 0 },
        ops: [{ ...op, repeat: n }],
      });
      const once = simulate(trace(repeat), machine, { mapper });
      const twice = simulate(trace(2 * repeat), machine, { mapper });
      for (const key of ['time_s', 'energy_J', 'flops', 'flops_executed', 'launch_s'] as const)
        expect(twice[key] / Math.max(once[key], 1e-300), key).toBeCloseTo(once[key] === 0 ? 0 : 2, 9);
      for (const id in once.moved_B) expect(twice.moved_B[id]).toBeCloseTo(2 * once.moved_B[id]!, 3);
    }),
    { numRuns: 60, seed: 8 },
  );
});

/**
 * Under `event` better hardware can be slower for one and the same mapping (Graham, "Bounds on multiprocessing timing
 * anomalies", 1969). Those found here come from more cores: when a launch needs the same number of waves anyway, more
 * workgroups in the first share the far cache's port and wait longer for it (104 workgroups on 80 or 100 slots of a T4:
 * two waves either way, 6.9 µs of waiting for the cache instead of 5.6 µs, 0.5 % longer). With the mapping free a mapper
 * would not fill all cores. They are few; the largest seen is a reduction of 945 workgroups on a T4, 11 % longer.
 */
test('under event better hardware is rarely slower for the same mapping, and never by much', async () => {
  const bases = await Promise.all(['h100-sxm', 'a100-sxm-80gb', 't4'].map(shippedMachine));
  const changes = [
    { ...SAME, dram: 1.5 },
    { ...SAME, l2: 2 },
    { ...SAME, clock: 1.3 },
    { ...SAME, cores: 1.25 },
  ];
  const ratios: number[] = [];
  fc.assert(
    fc.property(
      fc.constantFrom(...bases),
      fc.constantFrom(...changes),
      arbitraryProblem(1200),
      pick,
      (m, by, p, at) => {
        const found = launchesOf(p, m, at);
        fc.pre(found !== undefined);
        const after = scaled(m, by);
        for (const l of found.launches)
          ratios.push(runEvent(l, after, nominal(after)).time_s / runEvent(l, m, nominal(m)).time_s);
      },
    ),
    { numRuns: 300, seed: 9 },
  );
  ratios.sort((a, b) => b - a);
  const slower = ratios.filter((r) => r > 1.001).length / ratios.length;
  process.stderr.write(
    `better hardware under event: slower in ${(slower * 100).toFixed(1)} % of ${ratios.length} runs, by ${((ratios[0]! - 1) * 100).toFixed(1)} % at most\n`,
  );
  expect(slower).toBeLessThan(0.02);
  expect(ratios[0]).toBeLessThan(1.15);
}, 60_000);
