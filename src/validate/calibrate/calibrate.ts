/**
 * Fits the uncertain constants of a machine to measured rows:
 *
 *   rows ─split─► fit │ spread │ test
 *   fit rows ─map─► choices ─least squares, choices held─► constants ─map again─► … until mapping again gains nothing
 *   spread, test rows ─predict with the constants─► residuals, errors
 *
 * Constants are few and the same for all rows; nothing is fitted to a shape, a row or a kind of work.
 */

import { type LaunchMode, launchTime } from '../../engine/launch.js';
import { boundsOf, type Constant, constantsOf, valueAt } from '../../machine/calibratable.js';
import { FAMILIES } from '../../machine/family.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { type Machine, type MachineSource, resolveMachine } from '../../machine/load.js';
import type { MeasuredRow } from '../measured.js';
import { classesOf } from '../spread.js';
import { type Crew, localCrew } from './crew.js';
import { curvatureAt, leastSquares, type Problem } from './least-squares.js';
import { type Sample, stratumOf } from './samples.js';
import { type Part, splitRows } from './split.js';

export interface CalibrateOptions {
  readonly seed: number;
  /** Most rows that constants are fitted to. */
  readonly rows: number;
  /** Who maps and predicts the samples; this thread when left out. */
  readonly crew?: Crew;
  readonly onProgress?: (done: number, total: number, note: string) => void;
  readonly stopped?: () => boolean;
}

/** A constant before and after. */
export interface Fitted {
  readonly constant: Constant;
  /** In standard deviations of its prior. */
  readonly z: number;
  /** Of the factor's logarithm (or the share) before and after the rows were seen. */
  readonly prior_sd: number;
  readonly posterior_sd: number;
  /** Mean of |∂ log time / ∂ log value| (or per share) over the rows, and where it is largest. */
  readonly sensitivity: number;
  readonly most: string;
  /** The constant it is hardest to tell from, and how alike they act: −1 … 1. */
  readonly partner?: { readonly name: string; readonly correlation: number };
  readonly at_bound: boolean;
}

export interface Calibrated {
  readonly fitted: readonly Fitted[];
  /** With the constants: as "path=value" for `resolveMachine`. */
  readonly set: readonly string[];
  readonly machine: Machine;
  readonly n: Readonly<Record<Part, number>>;
  readonly rounds: number;
  readonly interrupted: boolean;
  /** Predictions of the rows kept out, before and after. */
  readonly before: readonly MeasuredRow[];
  readonly spread: readonly MeasuredRow[];
  readonly test: readonly MeasuredRow[];
}

const ROUNDS = 5;
/** Constants that no round moves by more than this (standard deviations of their priors) stand. */
const STILL = 0.02;

/** Constants, and the rows as mapped with them. */
interface Round {
  readonly z: readonly number[];
  /** Of the crew's choices. */
  readonly number: number;
  readonly samples: readonly Sample[];
  readonly weights: Float64Array;
  readonly score: number;
}

/** Rows that are mapped or predicted between looks at whether to stop, for each worker. */
const CHUNK = 16;

export async function calibrateMachine(
  source: MachineSource,
  samples: readonly Sample[],
  options: CalibrateOptions,
): Promise<Calibrated> {
  const base = await resolveMachine(source);
  const crew = options.crew ?? localCrew(source, samples);
  const constants = constantsOf(FAMILIES[source.family].calibratable, base.fields);
  const ids = samples.map((_, i) => i);
  const split = splitRows(ids, (i) => stratumOf(samples[i]!), options.seed, options.rows);
  const floors = floorsOf(
    [...split.fit, ...split.spread].map((i) => samples[i]!),
    base.graph,
  );
  const setOf = (z: readonly number[]) => settingsOf(constants, z);
  const problem = (round: Omit<Round, 'score'>, floors: readonly Floor[]): Problem => ({
    weights: [...round.weights, ...floors.map(() => FLOOR_WEIGHT)],
    groups: [...round.samples.map(stratumOf), ...floors.map(() => 'floor')],
    bounds: constants.map(boundsOf),
    stopped: options.stopped,
    async residuals(z) {
      const set = setOf(z);
      const off = await crew.residuals(round.number, set);
      if (floors.length === 0) return Float64Array.from(off);
      const { graph } = await resolveMachine(source, set);
      const above = floors.map((f) => Math.max(0, Math.log(launchTime(graph.control, f.launch) / f.least_s)));
      return Float64Array.from([...off, ...above]);
    },
  });
  /** In chunks; what is left when stopped stays undone, unless it is `whole`. */
  const inChunks = async <T>(
    rows: readonly number[],
    run: (rows: readonly number[]) => Promise<T[]>,
    whole = false,
  ) => {
    const out: T[] = [];
    for (let i = 0; i < rows.length && (whole || !options.stopped?.()); i += CHUNK * crew.jobs)
      out.push(...(await run(rows.slice(i, i + CHUNK * crew.jobs))));
    return out;
  };

  // Choices follow the constants: of the constants that rounds end with, those win that fit best once mapped again.
  let z: readonly number[] = constants.map(() => 0);
  let best: Round | undefined;
  let rounds = 0;
  for (; ; rounds++) {
    options.onProgress?.(rounds, ROUNDS + 1, `mapping ${split.fit.length} rows`);
    const set = setOf(z);
    const fits = await inChunks(split.fit, (rows) => crew.map(rounds, set, rows));
    const mapped = split.fit.filter((_, i) => fits[i]).map((i) => samples[i]!);
    if (mapped.length === 0 || options.stopped?.()) break;
    const round = { z, number: rounds, samples: mapped, weights: weightsOf(mapped) };
    const score = meanAbsolute(await crew.residuals(rounds, set), round.weights);
    if (!best || score < best.score) {
      if (best) await crew.forget(best.number);
      best = { ...round, score };
    } else if (rounds > 1) break;
    if (rounds === ROUNDS) break;
    const fit = await leastSquares(problem(round, floors), z);
    const moved = Math.max(...fit.z.map((x, j) => Math.abs(x - z[j]!)));
    z = fit.z;
    if (best.number !== rounds) await crew.forget(rounds);
    if (moved < STILL) break;
  }
  z = best?.z ?? z;
  const set = setOf(z);
  options.onProgress?.(ROUNDS, ROUNDS + 1, 'testing');
  const predicted = async (set: readonly string[], rows: readonly number[]): Promise<MeasuredRow[]> =>
    (await inChunks(rows, (chunk) => crew.predict(set, chunk), true)).filter((row) => row !== undefined);
  return {
    fitted: best ? await fittedOf(constants, best, problem(best, [])) : [],
    set,
    machine: await resolveMachine(source, set),
    n: { fit: split.fit.length, spread: split.spread.length, test: split.test.length },
    rounds,
    interrupted: options.stopped?.() ?? false,
    before: await predicted([], split.test),
    spread: await predicted(set, split.spread),
    test: await predicted(set, split.test),
  };
}

/** A launch alone takes less than the shortest call of one kernel: the fit must leave room for it, whatever it does elsewhere. */
interface Floor {
  readonly launch: LaunchMode;
  readonly least_s: number;
}
const FLOOR_WEIGHT = 1000;
/** Of the shortest call, what at least is work. */
const WORK_SHARE = 0.2;

function floorsOf(samples: readonly Sample[], machine: ResourceGraph): Floor[] {
  const least = new Map<LaunchMode, Floor>();
  for (const { call } of samples) {
    if (call.host_s !== undefined || call.ops.length !== 1) continue;
    const least_s = (1 - WORK_SHARE) * call.measured_s;
    const { launch } = call.contextOn?.(machine) ?? call.context;
    const known = least.get(launch);
    if (!known || least_s < known.least_s) least.set(launch, { launch, least_s });
  }
  return [...least.values()];
}

/** Correlation of the model's errors among rows of one kind, dtype and size. */
const ALIKE = 0.05;

/** Rows that are off for the same reason tell less than their number says: Kish's design effect. */
function weightsOf(samples: readonly Sample[]): Float64Array {
  const keys = samples.map(({ call }) => `${call.dtype} ${classesOf(call.ops.at(-1)!, call.measured_s)[0]}`);
  const count = new Map<string, number>();
  for (const key of keys) count.set(key, (count.get(key) ?? 0) + 1);
  return Float64Array.from(keys, (key) => 1 / (1 + (count.get(key)! - 1) * ALIKE));
}

function meanAbsolute(r: readonly number[], weights: Float64Array): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < r.length; i++) {
    sum += weights[i]! * Math.abs(r[i]!);
    total += weights[i]!;
  }
  return sum / total;
}

const settingsOf = (constants: readonly Constant[], z: readonly number[]): string[] =>
  constants.flatMap((c, j) => (z[j] === 0 ? [] : c.fields.map((f) => `${f.path}=${valueAt(c, f, z[j]!)}`)));

async function fittedOf(
  constants: readonly Constant[],
  { z: at, samples }: Round,
  problem: Problem,
): Promise<Fitted[]> {
  const { covariance, jacobian } = await curvatureAt(problem, at);
  return constants.map((constant, j): Fitted => {
    const column = jacobian[j]!;
    const groups = new Map<string, { sum: number; n: number }>();
    let sum = 0;
    samples.forEach((sample, i) => {
      const s = Math.abs(column[i]!) / constant.sd;
      sum += s;
      const key = stratumOf(sample);
      const g = groups.get(key) ?? { sum: 0, n: 0 };
      groups.set(key, { sum: g.sum + s, n: g.n + 1 });
    });
    const most = [...groups].sort(([, a], [, b]) => b.sum / b.n - a.sum / a.n)[0]!;
    const sd = Math.sqrt(covariance[j]![j]!);
    let partner: Fitted['partner'];
    constants.forEach((other, k) => {
      if (k === j) return;
      const correlation = covariance[j]![k]! / (sd * Math.sqrt(covariance[k]![k]!));
      if (!partner || Math.abs(correlation) > Math.abs(partner.correlation))
        partner = { name: other.name, correlation };
    });
    const [least, greatest] = boundsOf(constant);
    const z = at[j]!;
    return {
      constant,
      z,
      prior_sd: constant.sd,
      posterior_sd: sd * constant.sd,
      sensitivity: sum / samples.length,
      most: most[0],
      ...(partner && { partner }),
      at_bound: z <= least || z >= greatest,
    };
  });
}
