/** How right predictions are, by GPU, kernel, dtype and size: what the accuracy page and its table are made from. */
import type { MeasuredRow } from './measured.js';
import { type Errors, errorsOf } from './statistics.js';

/** Rows of one GPU predicted in one way. */
export interface AccuracySet {
  readonly gpu: string;
  /** The machine description that predicted. */
  readonly machine: string;
  readonly how: 'calibrated' | 'same chip' | 'transferred' | 'datasheet';
  readonly rows: readonly MeasuredRow[];
}

export interface AccuracyPart extends Errors {
  readonly gpu: string;
  readonly machine: string;
  readonly how: AccuracySet['how'];
  readonly kernel: string;
  readonly dtype: string;
  readonly size: string;
  /** Share of measured values inside the 90 % interval. */
  readonly inside: number;
  readonly roofline: number;
  readonly efficiency: number;
}

export interface AccuracyPoint {
  readonly gpu: string;
  readonly kernel: string;
  readonly dtype: string;
  readonly measured_s: number;
  readonly predicted_s: number;
  readonly lo_s: number;
  readonly hi_s: number;
  readonly bound_by: string;
}

export interface WorstRow extends AccuracyPoint {
  readonly row: string;
  readonly picked: string;
  readonly why: string;
}

export interface AccuracyReport {
  readonly date: string;
  /** By GPU and way of predicting: kernel; kernel and dtype; kernel and size. */
  readonly by_kernel: readonly AccuracyPart[];
  readonly by_dtype: readonly AccuracyPart[];
  readonly by_size: readonly AccuracyPart[];
  readonly points: readonly AccuracyPoint[];
  readonly worst: readonly WorstRow[];
}

/** Of the roofline at a constant efficiency. */
const EFFICIENCY = 0.8;
const OVERHEAD_S = 3e-6;
export const ALL = 'all';

const SIZES = [
  [10e-6, 'below 10 µs'],
  [100e-6, '10 to 100 µs'],
  [1e-3, '0.1 to 1 ms'],
  [Number.POSITIVE_INFINITY, 'above 1 ms'],
] as const;
const sizeOf = (r: MeasuredRow): string => SIZES.find(([below]) => r.measured_s! < below)![1];

export function accuracyOf(sets: readonly AccuracySet[], date: string, points = 400, worst = 6): AccuracyReport {
  const parts = (key: (r: MeasuredRow) => Pick<AccuracyPart, 'kernel' | 'dtype' | 'size'>): AccuracyPart[] =>
    sets.flatMap((set) => {
      const groups = new Map<string, MeasuredRow[]>();
      for (const r of set.rows) {
        const name = JSON.stringify(key(r));
        const list = groups.get(name);
        if (list) list.push(r);
        else groups.set(name, [r]);
      }
      return [...groups].map(([name, rows]) => ({
        gpu: set.gpu,
        machine: set.machine,
        how: set.how,
        ...JSON.parse(name),
        ...partOf(rows),
      }));
    });
  const best = [...new Set(sets.map((s) => s.gpu))].map((gpu) => sets.find((s) => s.gpu === gpu)!);
  return {
    date,
    by_kernel: parts((r) => ({ kernel: r.group!, dtype: ALL, size: ALL })),
    by_dtype: parts((r) => ({ kernel: r.group!, dtype: r.dtype!, size: ALL })),
    by_size: parts((r) => ({ kernel: r.group!, dtype: ALL, size: sizeOf(r) })),
    points: best.flatMap(({ gpu, rows }) => thinned(rows, points).map((r) => pointOf(gpu, r))),
    worst: best.flatMap(({ gpu, rows }) =>
      [...rows]
        .sort((a, b) => off(b) - off(a))
        .slice(0, worst)
        .map((r) => ({
          ...pointOf(gpu, r),
          row: Object.entries(r.row)
            .filter(([k, v]) => v !== '' && !UNTOLD.has(k))
            .map(([k, v]) => `${SHORT[k] ?? k}=${v}`)
            .join(' '),
          picked: `${r.kernel} ${r.tile}`,
          why: reasonOf(r),
        })),
    ),
  };
}

const UNTOLD = new Set([
  'latency_ms',
  'power_w',
  'power_limit_w',
  'value',
  'unit',
  'kernel_name',
  'grid',
  'block',
  'device',
]);
const SHORT: Readonly<Record<string, string>> = {
  gemm_dtype: 'dtype',
  attn_dtype: 'q',
  kv_cache_dtype: 'kv',
  batch_size: 'batch',
  num_heads: 'heads',
  num_key_value_heads: 'kv_heads',
  window_size: 'window',
};

const off = (r: MeasuredRow): number => Math.abs(Math.log(r.predicted_s! / r.measured_s!));

const pointOf = (gpu: string, r: MeasuredRow): AccuracyPoint => ({
  gpu,
  kernel: r.group!,
  dtype: r.dtype!,
  measured_s: r.measured_s!,
  predicted_s: r.predicted_s!,
  lo_s: r.lo_s!,
  hi_s: r.hi_s!,
  bound_by: r.bound_by!,
});

function partOf(rows: readonly MeasuredRow[]) {
  const measured = rows.map((r) => r.measured_s!);
  const errors = (pick: (r: MeasuredRow) => number): Errors => errorsOf(rows.map(pick), measured);
  return {
    ...errors((r) => r.predicted_s!),
    inside: rows.filter((r) => r.measured_s! >= r.lo_s! && r.measured_s! <= r.hi_s!).length / rows.length,
    roofline: errors((r) => r.roofline_s!).mape,
    efficiency: errors((r) => r.roofline_s! / EFFICIENCY + OVERHEAD_S).mape,
  };
}

/** Evenly over the rows in the order of their times, so that both ends are there. */
function thinned(rows: readonly MeasuredRow[], most: number): MeasuredRow[] {
  const sorted = [...rows].sort((a, b) => a.measured_s! - b.measured_s!);
  const step = Math.max(1, sorted.length / most);
  return Array.from({ length: Math.min(most, sorted.length) }, (_, i) => sorted[Math.floor(i * step)]!);
}

/** What the figures of a row say about why it is off. */
function reasonOf(r: MeasuredRow): string {
  const roof = r.roofline_s!;
  const [measured, predicted] = [roof / r.measured_s!, roof / r.predicted_s!];
  const percent = (x: number) => `${(100 * x).toPrecision(2)} %`;
  const rates = `measured at ${percent(measured)} of the roofline, predicted at ${percent(predicted)}`;
  if (measured > 1)
    return `faster than the rated peaks allow: the call does less than the table's columns say; ${rates}`;
  if (r.measured_s! < r.predicted_s!)
    return `the framework has a better way than the kernel picked, or less launch; ${rates}, bound by ${r.bound_by}`;
  return `the framework runs a slower kernel or tile than the one picked; ${rates}, bound by ${r.bound_by}`;
}
