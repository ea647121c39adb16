/**
 * Fits the uncertain constants of a machine to measured rows:
 *
 *   rows ─split─► fit │ spread │ test
 *   fit rows ─map─► choices ─least squares, choices held─► constants ─map again─► … until mapping again gains nothing
 *   spread, test rows ─predict with the constants─► residuals, errors
 *
 * Constants are few and the same for all rows; nothing is fitted to a shape, a row or a kind of work.
 */
import { setImmediate } from 'node:timers/promises';
import { launchTime } from '../../engine/steady/pace.js';
import type { Context } from '../../engine/types.js';
import { Mapper } from '../../kernel/mapper.js';
import { boundsOf, type Constant, constantsOf, valueAt } from '../../machine/calibratable.js';
import { FAMILIES } from '../../machine/family.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { type Machine, type MachineSource, resolveMachine } from '../../machine/load.js';
import type { Call } from '../calls.js';
import type { Row, Skip } from '../fields.js';
import { type MeasuredRow, predictRow } from '../measured.js';
import { isInfeasible, type Mapped, mapCall, readRows, readTable, reasonsOf, timeOf } from '../predict.js';
import { ASSUMED_SPREAD, classesOf } from '../spread.js';
import { curvatureAt, leastSquares, type Problem } from './least-squares.js';
import { type Part, splitRows } from './split.js';

export interface TableFile {
  readonly file: string;
  readonly text: string;
  /** Only rows whose `device` column says so. */
  readonly device?: string;
}

export interface Sample {
  readonly file: string;
  readonly row: Row;
  readonly call: Call;
}

export interface CalibrateOptions {
  readonly seed: number;
  /** Most rows that constants are fitted to. */
  readonly rows: number;
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

/** Rows of tables as calls, those that cannot be read as such left out, and why. @throws InputError */
export function samplesOf(tables: readonly TableFile[]): { samples: Sample[]; skipped: number; reasons: string } {
  const samples: Sample[] = [];
  const skips: Skip[] = [];
  for (const { file, text, device } of tables) {
    const table = readTable(text, file);
    const { kind, rows } = table;
    const calls = kind.call ? readRows(table, kind.call, device) : rows.map(() => ({ skip: 'a whole model' }));
    calls.forEach((call, i) => {
      if ('skip' in call) skips.push(call);
      else samples.push({ file, row: rows[i]!, call });
    });
  }
  return { samples, skipped: skips.length, reasons: reasonsOf(skips) };
}

export const stratumOf = ({ call }: Sample): string => `${call.group} ${call.dtype}`;

const ROUNDS = 5;
/** Constants that no round moves by more than this (standard deviations of their priors) stand. */
const STILL = 0.02;

/** Constants, and the rows as mapped with them. */
interface Round {
  readonly z: readonly number[];
  readonly mapped: readonly Mapped[];
  readonly weights: Float64Array;
  readonly score: number;
}

export async function calibrateMachine(
  source: MachineSource,
  samples: readonly Sample[],
  options: CalibrateOptions,
): Promise<Calibrated> {
  const base = await resolveMachine(source);
  const constants = constantsOf(FAMILIES[source.family].calibratable, base.fields);
  const split = splitRows(samples, stratumOf, options.seed, options.rows);
  const floors = floorsOf([...split.fit, ...split.spread]);
  const at = async (z: readonly number[]): Promise<Machine> => resolveMachine(source, settingsOf(constants, z));
  const problem = (mapped: readonly Mapped[], weights: Float64Array, floors: readonly Floor[]): Problem => {
    return {
      weights: [...weights, ...floors.map(() => FLOOR_WEIGHT)],
      groups: [...mapped.map(({ call }) => `${call.group} ${call.dtype}`), ...floors.map(() => 'floor')],
      bounds: constants.map(boundsOf),
      stopped: options.stopped,
      async residuals(z) {
        // lets signals and the progress bar through
        await setImmediate();
        const { graph } = await at(z);
        const above = floors.map((f) => Math.max(0, Math.log(launchTime(graph, f.context) / f.least_s)));
        return Float64Array.from([...residualsOf(mapped, graph), ...above]);
      },
    };
  };

  // Choices follow the constants: of the constants that rounds end with, those win that fit best once mapped again.
  let z: readonly number[] = constants.map(() => 0);
  let best: Round | undefined;
  let rounds = 0;
  for (; ; rounds++) {
    options.onProgress?.(rounds, ROUNDS + 1, `mapping ${split.fit.length} rows`);
    const { graph } = await at(z);
    const mapped = mapAll(split.fit, graph, options);
    if (mapped.length === 0 || options.stopped?.()) break;
    const weights = weightsOf(mapped);
    const score = meanAbsolute(residualsOf(mapped, graph), weights);
    if (!best || score < best.score) best = { z, mapped, weights, score };
    else if (rounds > 1) break;
    if (rounds === ROUNDS) break;
    const fit = await leastSquares(problem(mapped, weights, floors), z);
    const moved = Math.max(...fit.z.map((x, j) => Math.abs(x - z[j]!)));
    z = fit.z;
    if (moved < STILL) break;
  }
  z = best?.z ?? z;
  const set = settingsOf(constants, z);
  const machine = await resolveMachine(source, set);
  options.onProgress?.(ROUNDS, ROUNDS + 1, 'testing');
  return {
    fitted: best ? await fittedOf(constants, best, problem(best.mapped, best.weights, [])) : [],
    set,
    machine,
    n: { fit: split.fit.length, spread: split.spread.length, test: split.test.length },
    rounds,
    interrupted: options.stopped?.() ?? false,
    before: predictSamples(split.test, base.graph),
    spread: predictSamples(split.spread, machine.graph),
    test: predictSamples(split.test, machine.graph),
  };
}

function mapAll(samples: readonly Sample[], graph: ResourceGraph, { stopped }: CalibrateOptions): Mapped[] {
  const mapper = new Mapper();
  const out: Mapped[] = [];
  for (const { call } of samples) {
    if (stopped?.()) break;
    try {
      out.push(mapCall(call, graph, mapper));
    } catch (e) {
      if (!isInfeasible(e)) throw e;
    }
  }
  return out;
}

/** Predictions of rows, those that fit no kernel left out. */
export function predictSamples(samples: readonly Sample[], graph: ResourceGraph): MeasuredRow[] {
  const mapper = new Mapper();
  return samples.flatMap(({ row, call }) => {
    try {
      return [predictRow(row, call, graph, mapper, ASSUMED_SPREAD)];
    } catch (e) {
      if (isInfeasible(e)) return [];
      throw e;
    }
  });
}

/** A launch alone takes less than the shortest call of one kernel: the fit must leave room for it, whatever it does elsewhere. */
interface Floor {
  readonly context: Context;
  readonly least_s: number;
}
const FLOOR_WEIGHT = 1000;
/** Of the shortest call, what at least is work. */
const WORK_SHARE = 0.2;

function floorsOf(samples: readonly Sample[]): Floor[] {
  const least = new Map<string, Floor>();
  for (const { call } of samples) {
    if (call.host_s !== undefined || call.ops.length !== 1) continue;
    const least_s = (1 - WORK_SHARE) * call.measured_s;
    const known = least.get(call.context.launch);
    if (!known || least_s < known.least_s) least.set(call.context.launch, { context: call.context, least_s });
  }
  return [...least.values()];
}

/** log(predicted ÷ measured) */
const residualsOf = (mapped: readonly Mapped[], graph: ResourceGraph): Float64Array =>
  Float64Array.from(mapped, (m) => Math.log(timeOf(m, graph) / m.call.measured_s));

/** Correlation of the model's errors among rows of one kind, dtype and size. */
const ALIKE = 0.05;

/** Rows that are off for the same reason tell less than their number says: Kish's design effect. */
function weightsOf(mapped: readonly Mapped[]): Float64Array {
  const keys = mapped.map(({ call }) => `${call.dtype} ${classesOf(call.ops.at(-1)!, call.measured_s)[0]}`);
  const count = new Map<string, number>();
  for (const key of keys) count.set(key, (count.get(key) ?? 0) + 1);
  return Float64Array.from(keys, (key) => 1 / (1 + (count.get(key)! - 1) * ALIKE));
}

function meanAbsolute(r: Float64Array, weights: Float64Array): number {
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

async function fittedOf(constants: readonly Constant[], { z: at, mapped }: Round, problem: Problem): Promise<Fitted[]> {
  const { covariance, jacobian } = await curvatureAt(problem, at);
  return constants.map((constant, j): Fitted => {
    const column = jacobian[j]!;
    const groups = new Map<string, { sum: number; n: number }>();
    let sum = 0;
    mapped.forEach(({ call }, i) => {
      const s = Math.abs(column[i]!) / constant.sd;
      sum += s;
      const key = `${call.group} ${call.dtype}`;
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
      sensitivity: sum / mapped.length,
      most: most[0],
      ...(partner && { partner }),
      at_bound: z <= least || z >= greatest,
    };
  });
}
