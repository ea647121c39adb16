/**
 * How far predictions are off, as intervals: quantiles of measured ÷ predicted time on rows that no constant was fitted
 * to (split conformal prediction: the quantile at rank ⌈(n + 1)·q⌉ holds with probability q for rows of the same kind).
 * Quantiles stand by class: kind of work, number formats, and how long the call is beside its launches.
 */
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

/**
 * For a machine that nobody has measured: the widest of what the others show, since between machines errors differ more
 * than among the rows of one, and there are too few of them for a quantile.
 */
export function widestOf(machines: readonly (readonly Residual[])[]): Record<string, Ratios & { n: number }> {
  const out: Record<string, Ratios & { n: number }> = {};
  for (const residuals of machines)
    for (const [name, { lo, hi, n }] of Object.entries(spreadOf(residuals))) {
      const known = out[name];
      out[name] = known ? { lo: Math.min(known.lo, lo), hi: Math.max(known.hi, hi), n: known.n + n } : { lo, hi, n };
    }
  return Object.fromEntries(Object.entries(out).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Quantile of measured ÷ predicted, one row beyond the plain one on either side. */
function quantile(list: readonly Residual[], q: number): number {
  const sorted = list.map((r) => r.measured_s / r.predicted_s).sort((a, b) => a - b);
  const n = sorted.length;
  const rank = q < 0.5 ? q * (n + 1) - 1 : q * (n + 1);
  return sorted[Math.min(n, Math.max(1, Math.ceil(rank - 1e-9))) - 1]!;
}
