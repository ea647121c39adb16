/**
 * Who maps and predicts a calibration's rows: this thread, or piscina workers. Each row belongs to one worker, which
 * keeps what was chosen for it; results come in the order of the rows, the same for any number of workers.
 */
import { setImmediate } from 'node:timers/promises';
import { Mapper } from '../../kernel/mapper.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { type MachineSource, resolveMachine } from '../../machine/load.js';
import { type MachinePack, pack } from '../../machine/pack.js';
import { type MeasuredRow, predictRow } from '../measured.js';
import { isInfeasible, type Mapped, mapCall, timeOf } from '../predict.js';
import { ASSUMED_SPREAD } from '../spread.js';
import { type Sample, samplesOf, type TableFile } from './samples.js';

/** Rows are numbers of samples; `set` is what `resolveMachine` takes. */
export interface Crew {
  readonly jobs: number;
  /** Maps rows and keeps the choices under a number, after those it has; says which rows fit a kernel. */
  map(round: number, set: readonly string[], rows: readonly number[]): Promise<boolean[]>;
  forget(round: number): Promise<void>;
  /** log(predicted ÷ measured) of the rows of a round that fitted, their choices held. */
  residuals(round: number, set: readonly string[]): Promise<number[]>;
  /** With choices made anew; undefined where none fits. */
  predict(set: readonly string[], rows: readonly number[]): Promise<(MeasuredRow | undefined)[]>;
  close(): Promise<void>;
}

export function localCrew(source: MachineSource, samples: readonly Sample[]): Crew {
  const rounds = new Map<number, Mapped[]>();
  let last: { key: string; graph: ResourceGraph; mapper: Mapper } | undefined;
  const at = async (set: readonly string[]) => {
    const key = JSON.stringify(set);
    if (last?.key !== key) last = { key, graph: (await resolveMachine(source, set)).graph, mapper: new Mapper() };
    return last;
  };
  /** Lets signals and the progress bar through between rows. */
  const eachFitting = async <T>(rows: readonly number[], make: (s: Sample) => T): Promise<(T | undefined)[]> => {
    const out: (T | undefined)[] = [];
    for (const row of rows) {
      await setImmediate();
      try {
        out.push(make(samples[row]!));
      } catch (e) {
        if (!isInfeasible(e)) throw e;
        out.push(undefined);
      }
    }
    return out;
  };
  return {
    jobs: 1,
    async map(round, set, rows) {
      const { graph, mapper } = await at(set);
      const mapped = await eachFitting(rows, ({ call }) => mapCall(call, graph, mapper));
      rounds.set(round, [...(rounds.get(round) ?? []), ...mapped.filter((m) => m !== undefined)]);
      return mapped.map((m) => m !== undefined);
    },
    async forget(round) {
      rounds.delete(round);
    },
    async residuals(round, set) {
      await setImmediate();
      const { graph } = await at(set);
      return (rounds.get(round) ?? []).map((m) => Math.log(timeOf(m, graph) / m.call.measured_s));
    },
    async predict(set, rows) {
      const { graph, mapper } = await at(set);
      return eachFitting(rows, ({ row, call }) => predictRow(row, call, graph, mapper, ASSUMED_SPREAD));
    },
    async close() {},
  };
}

/** What a worker is set up with. */
export interface Setup {
  readonly machine: MachinePack;
  readonly tables: readonly TableFile[];
}
export type Task = {
  readonly [K in 'map' | 'forget' | 'residuals' | 'predict']: readonly [K, ...Parameters<Crew[K]>];
}['map' | 'forget' | 'residuals' | 'predict'];

/** As many workers as `jobs`; with one, none but this thread. */
export async function crewOf(source: MachineSource, tables: readonly TableFile[], jobs: number): Promise<Crew> {
  const { samples } = samplesOf(tables);
  if (jobs === 1) return localCrew(source, samples);
  const { Piscina } = await import('piscina');
  const setup: Setup = { machine: pack(source), tables };
  // a pool for each worker: choices stay where they were made
  const workers = Array.from(
    { length: jobs },
    () =>
      new Piscina<Task, unknown>({
        filename: new URL('./worker.js', import.meta.url).href,
        minThreads: 1,
        maxThreads: 1,
        workerData: setup,
        // a debugger's or test runner's flags are not for workers
        execArgv: [],
      }),
  );
  const owner = (row: number): number => row % jobs;
  /** Results of all workers, each in its own order, as one list in the order of `rows`. */
  const merged = <T>(rows: readonly number[], lists: readonly (readonly T[])[]): T[] => {
    const next = lists.map(() => 0);
    return rows.map((row) => lists[owner(row)]![next[owner(row)]!++]!);
  };
  const all = <T>(task: (worker: number) => Task): Promise<T[]> =>
    Promise.all(workers.map((worker, i) => worker.run(task(i)) as Promise<T>));
  const own = (rows: readonly number[], worker: number) => rows.filter((row) => owner(row) === worker);
  const fitting = new Map<number, number[]>();
  return {
    jobs,
    async map(round, set, rows) {
      const fits = merged(rows, await all<boolean[]>((w) => ['map', round, set, own(rows, w)]));
      fitting.set(round, [...(fitting.get(round) ?? []), ...rows.filter((_, i) => fits[i])]);
      return fits;
    },
    async forget(round) {
      fitting.delete(round);
      await all(() => ['forget', round]);
    },
    async residuals(round, set) {
      return merged(fitting.get(round) ?? [], await all<number[]>(() => ['residuals', round, set]));
    },
    async predict(set, rows) {
      return merged(rows, await all<(MeasuredRow | undefined)[]>((w) => ['predict', set, own(rows, w)]));
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.on('error', () => {}).destroy()));
    },
  };
}
