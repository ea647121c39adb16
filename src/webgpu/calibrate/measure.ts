/**
 * Times of probes. Every probe is run in several rounds, so that a disturbance that lasts meets a few samples of all
 * rather than all of a few; of the samples a low quantile counts, since disturbances only add.
 */
import type { Job, JobResult } from '../device/job.js';
import { lowQuantile } from '../device/statistics.js';
import { MOST_ITERATIONS, type Probe, paramsOf, stepOf } from './probe.js';

export interface Effort {
  readonly rounds: number;
  /** Timed batches a round. */
  readonly repeats: number;
  /** Least time of a batch, and of a run where its iterations are free. */
  readonly batch_s: number;
}
/** 64 samples of each probe. */
export const FULL: Effort = { rounds: 16, repeats: 4, batch_s: 1e-3 };
export const QUICK: Effort = { rounds: 2, repeats: 3, batch_s: 0.5e-3 };

export interface Timer {
  run(job: Job, limit_s?: number): Promise<JobResult>;
}

/** Seconds per run of a probe: by round, its samples. */
export interface Sampled {
  readonly probe: Probe;
  readonly iterations: number;
  readonly rounds: readonly (readonly number[])[];
}
export type Samples = ReadonlyMap<string, Sampled>;

/** Noise may make a small difference vanish or turn; then it is this share of what it is a part of. */
const LEAST_SHARE = 0.01;
export const atLeast = (x: number, of = 1e-9): number => Math.max(x, LEAST_SHARE * of);

const QUANTILE = 0.1;
const FIRST_ITERATIONS = 200;

/** `done`: called after each round of each probe. Throws DeviceError. */
export async function sample(
  timer: Timer,
  probes: readonly Probe[],
  effort: Effort,
  done: () => void = () => {},
): Promise<Map<string, Sampled>> {
  const planned: { probe: Probe; iterations: number; rounds: number[][] }[] = [];
  for (const probe of probes) {
    // the first run compiles, which is discarded
    const iterations = probe.whole ? 1 : (probe.iterations ?? (await choose(timer, probe, effort)));
    planned.push({ probe, iterations, rounds: [] });
  }
  for (let round = 0; round < effort.rounds; round++)
    for (const p of planned) {
      p.rounds.push(await timed(timer, p.probe, p.iterations, effort));
      done();
    }
  return new Map(planned.map((p) => [p.probe.id, p]));
}

/** As many iterations as one run of `batch_s` has. */
async function choose(timer: Timer, probe: Probe, { batch_s }: Effort): Promise<number> {
  const samples = await timed(timer, probe, FIRST_ITERATIONS, { rounds: 1, repeats: 5, batch_s: batch_s / 4 });
  const each = Math.min(...samples) / FIRST_ITERATIONS;
  return Math.max(FIRST_ITERATIONS, Math.min(MOST_ITERATIONS, Math.ceil(batch_s / each)));
}

async function timed(timer: Timer, probe: Probe, iterations: number, effort: Effort): Promise<number[]> {
  const { timing } = await timer.run({
    buffers: [
      { name: 'p', size_B: 32, data: paramsOf(probe, iterations) },
      { name: 'b', size_B: probe.buffer_B },
    ],
    steps: [stepOf(probe)],
    read: [],
    timing: {
      repeats: effort.repeats,
      batch_s: probe.clock === 'host' ? 1e-9 : effort.batch_s,
      ...(probe.clock && { clock: probe.clock }),
    },
  });
  return [...timing!.samples_s];
}

/** Reads times out of samples, all rounds together or some of them. */
export class Times {
  constructor(
    private readonly samples: Samples,
    private readonly pick: (round: number, rounds: number) => boolean = () => true,
  ) {}

  has(id: string): boolean {
    return this.samples.has(id);
  }

  probe(id: string): Probe {
    return this.of(id).probe;
  }

  /** Seconds of one run. */
  run(id: string): number {
    const { rounds } = this.of(id);
    const picked = rounds.filter((_, i) => this.pick(i, rounds.length)).flat();
    return lowQuantile(picked.length > 0 ? picked : rounds.flat(), QUANTILE).value;
  }

  /** Seconds of its fastest run: where other work takes whole cores away, the rest of the samples say nothing. */
  fastest(id: string): number {
    return Math.min(...this.of(id).rounds.flat());
  }

  /** Seconds of one run, the dispatch left out. */
  work(id: string): number {
    const run = this.run(id);
    return atLeast(run - this.run('dispatch'), run);
  }

  /** Seconds of one iteration, the dispatch left out. */
  iteration(id: string): number {
    return this.work(id) / this.of(id).iterations;
  }

  private of(id: string): Sampled {
    const s = this.samples.get(id);
    if (!s) throw new RangeError(`probe '${id}' was not run`);
    return s;
  }
}

/** Halves of the rounds: alternate ones, and the early and late ones. */
const HALVES: readonly ((round: number, rounds: number) => boolean)[] = [
  (i) => i % 2 === 0,
  (i) => i % 2 === 1,
  (i, n) => i < n / 2,
  (i, n) => i >= n / 2,
];

export interface Figure {
  readonly value: number;
  /** Largest relative difference that half of the rounds makes. */
  readonly spread: number;
}
/** Below this two calibrations differ by more than their halves do (the clock of the machine drifts). */
const LEAST_SPREAD = 0.05;

/** What takes several cores, or waking them, differs this much with what else the computer does. */
const CROWDED_SPREAD = 0.3;
export const crowded = ({ value, spread }: Figure): Figure => ({ value, spread: Math.max(spread, CROWDED_SPREAD) });

/** What `derive` makes of all rounds, with the spread over halves of them. */
export function withSpread(samples: Samples, derive: (times: Times) => Record<string, number>): Record<string, Figure> {
  const all = derive(new Times(samples));
  const halves = HALVES.map((pick) => derive(new Times(samples, pick)));
  const out: Record<string, Figure> = {};
  for (const [key, value] of Object.entries(all)) {
    const off = halves.map((h) => Math.abs((h[key] ?? value) - value) / (Math.abs(value) || 1));
    out[key] = { value, spread: Math.max(LEAST_SPREAD, ...off) };
  }
  return out;
}

/** Whether two figures lie within what both state. */
export const agree = (a: Figure, b: Figure): boolean =>
  Math.abs(a.value - b.value) <= a.spread * Math.abs(a.value) + b.spread * Math.abs(b.value) || a.value === b.value;
