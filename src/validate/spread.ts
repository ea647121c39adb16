/**
 * How far predictions are off, as intervals: quantiles of measured ÷ predicted time on rows that no constant was fitted
 * to (split conformal prediction: the quantile at rank ⌈(n + 1)·q⌉ holds with probability q for rows of the same kind).
 * Quantiles stand by class: kind of work, number formats, and how long the call is beside its launches.
 */
import { mean, median } from 'simple-statistics';
import { bytesOf, type DType } from '../base/dtype.js';
import type { Op } from '../workload/op.js';

/** measured ÷ predicted at 5 % and 95 %. */
export interface Ratios {
  readonly lo: number;
  readonly hi: number;
}
export type SpreadTable = Readonly<Record<string, Ratios>>;

/** Share of measured values inside. */
export const COVERAGE = 0.9;
/** Rows that a class needs to have quantiles of its own. */
const LEAST_ROWS = 40;

/** Until residuals are known: the spread that first-principles models of GPU kernels show, about nine in ten. */
export const ASSUMED_SPREAD: SpreadTable = { all: { lo: 1 / 1.5, hi: 1.5 } };

/** What is remembered of a predicted row. */
export interface Residual {
  readonly classes: readonly string[];
  readonly predicted_s: number;
  readonly measured_s: number;
}

/** From the narrowest class to the widest, `all`. */
export function classesOf(op: Op, time_s: number): readonly string[] {
  const kind = kindOf(op);
  const dtype = `${kind}_${formatsOf(op)}`;
  return [`${dtype}_${sizeOf(time_s)}`, dtype, kind, 'all'];
}

function kindOf(op: Op): string {
  switch (op.kind) {
    case 'matmul':
      return 'gemm';
    case 'attention':
      return op.cached && op.q_len === 1 ? 'decode' : 'prefill';
    case 'softmax':
    case 'normalise':
      return 'rows';
    default:
      return op.kind;
  }
}

/** "16_8": bits of what is multiplied; "8_8_block" where scales stand per block. */
function formatsOf(op: Op): string {
  // scales of blocks are a fraction of a bit
  const bits = (d: DType) => Math.floor(8 * bytesOf(d));
  if (op.kind === 'matmul') return `${bits(op.a)}_${bits(op.b)}${op.block_scaled ? '_block' : ''}`;
  if (op.kind === 'attention') return `${bits(op.q)}_${bits(op.kv)}`;
  return 'dtype' in op ? `${bits(op.dtype)}` : 'any';
}

/** Where launches and latencies, where ramps, and where rates decide. */
const SIZES = [
  [15e-6, 'short'],
  [150e-6, 'medium'],
  [Number.POSITIVE_INFINITY, 'long'],
] as const;
const sizeOf = (time_s: number): string => SIZES.find(([below]) => time_s < below)![1];

/**
 * A new table over an old one: where the new has a class as a whole, the old's parts of it by size no longer hold.
 */
export function inPlaceOf<R extends Ratios>(old: SpreadTable, fresh: Readonly<Record<string, R>>): Record<string, R> {
  const out = { ...fresh };
  for (const [name, ratios] of Object.entries(fresh))
    for (const [, size] of SIZES) {
      const part = `${name}_${size}`;
      if (part in old) out[part] ??= ratios;
    }
  return out;
}

/** The interval of a prediction by the narrowest of its classes that the table has. */
export function intervalOf(
  table: SpreadTable,
  classes: readonly string[],
  time_s: number,
): { lo_s: number; hi_s: number; by: string } {
  for (const by of classes) {
    const r = table[by];
    if (r) return { lo_s: time_s * r.lo, hi_s: time_s * r.hi, by };
  }
  const { lo, hi } = ASSUMED_SPREAD['all']!;
  return { lo_s: time_s * lo, hi_s: time_s * hi, by: 'assumed' };
}

/** Quantiles of every class with enough rows. */
export function spreadOf(residuals: readonly Residual[]): Record<string, Ratios & { n: number }> {
  const groups = new Map<string, Residual[]>();
  for (const r of residuals)
    for (const name of r.classes) {
      const list = groups.get(name);
      if (list) list.push(r);
      else groups.set(name, [r]);
    }
  const out: Record<string, Ratios & { n: number }> = {};
  for (const name of [...groups.keys()].sort()) {
    const list = groups.get(name)!;
    if (list.length < LEAST_ROWS) continue;
    const tail = (1 - COVERAGE) / 2;
    out[name] = { lo: quantile(list, tail), hi: quantile(list, 1 - tail), n: list.length };
  }
  return out;
}

/** Rows that a GPU needs in a class to tell how far it is off there. */
const LEAST_OF_GPU = 15;
/** How many GPUs' worth of evidence the spread between GPUs in all classes is for the spread in one. */
const PRIOR_GPUS = 2;

/**
 * For a machine that nobody has measured. Errors have two parts, one that all rows of a GPU share and one of the row:
 *
 *   log(measured ÷ predicted) = common + GPU + row
 *
 * Rows of more GPUs do not make the second smaller, so that it is a prediction for one more GPU of a few: Student's t
 * around their mean, its variance drawn towards that of all classes (empirical Bayes), √(1 + 1/K) for the mean's own
 * error. The parts add in quadrature. Wider classes serve kinds of work that no GPU has shown: their groups are the
 * narrower classes of each GPU.
 */
export function unmeasuredOf(machines: readonly (readonly Residual[])[]): Record<string, Ratios & { n: number }> {
  const classes = new Map<string, number[][]>();
  for (const residuals of machines)
    for (const [name, groups] of groupsOf(residuals)) {
      const large = groups.filter((g) => g.length >= LEAST_OF_GPU);
      if (large.length > 0) classes.set(name, [...(classes.get(name) ?? []), ...large]);
    }
  const known = [...classes].map(([name, groups]) => {
    const medians = groups.map(median);
    const common = mean(medians);
    const squares = medians.reduce((sum, m) => sum + (m - common) ** 2, 0);
    return { name, groups, medians, common, squares };
  });
  const degrees = known.reduce((sum, { groups }) => sum + groups.length - 1, 0);
  const between = degrees > 0 ? known.reduce((sum, { squares }) => sum + squares, 0) / degrees : 0;
  const out: Record<string, Ratios & { n: number }> = {};
  for (const { name, groups, medians, common, squares } of known.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const k = groups.length;
    const free = PRIOR_GPUS + k - 1;
    const sd = Math.sqrt((PRIOR_GPUS * between + squares) / free);
    const gpu = studentT(free) * sd * Math.sqrt(1 + 1 / k);
    const row = (q: number) => mean(groups.map((g, i) => rankOf(g, q) - medians[i]!));
    const tail = (1 - COVERAGE) / 2;
    out[name] = {
      lo: Math.exp(common - Math.hypot(row(tail), gpu)),
      hi: Math.exp(common + Math.hypot(row(1 - tail), gpu)),
      n: groups.reduce((sum, g) => sum + g.length, 0),
    };
  }
  return out;
}

/** Of one GPU: log ratios by class, divided by the next narrower class. */
function groupsOf(residuals: readonly Residual[]): Map<string, number[][]> {
  const out = new Map<string, Map<string, number[]>>();
  for (const r of residuals)
    r.classes.forEach((name, i) => {
      const groups = out.get(name) ?? new Map<string, number[]>();
      out.set(name, groups);
      const narrower = r.classes[i - 1] ?? '';
      const list = groups.get(narrower) ?? [];
      groups.set(narrower, list);
      list.push(Math.log(r.measured_s / r.predicted_s));
    });
  return new Map([...out].map(([name, groups]) => [name, [...groups.values()]]));
}

/** Quantile at 95 % with `free` degrees of freedom: Cornish–Fisher, within 1.3 % from 2 on. */
function studentT(free: number): number {
  const z = 1.6449;
  const terms = [
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
  ];
  return terms.reduce((sum, term, i) => sum + term / free ** (i + 1), z);
}

/** Quantile of measured ÷ predicted, one row beyond the plain one on either side. */
const quantile = (list: readonly Residual[], q: number): number =>
  rankOf(
    list.map((r) => r.measured_s / r.predicted_s),
    q,
  );

function rankOf(list: readonly number[], q: number): number {
  const sorted = [...list].sort((a, b) => a - b);
  const n = sorted.length;
  const rank = q < 0.5 ? q * (n + 1) - 1 : q * (n + 1);
  return sorted[Math.min(n, Math.max(1, Math.ceil(rank - 1e-9))) - 1]!;
}
