/** What `validate` says of a run on the device, as data. The schema is the single source of the type. */
import { type Static, Type } from '@sinclair/typebox';
import type { ResourceGraph } from '../../machine/graph.js';
import type { AdapterInfo } from '../../webgpu/device/job.js';
import { countPairs, type Errors, errorsOf, type Pairs, tauOf } from '../statistics.js';
import { type CaseResult, isSkipped, type SkippedCase } from './compare.js';
import { unexercised } from './concepts.js';

const fraction = (description: string) => Type.Number({ description: `${description}; a fraction` });
const errors = {
  n: Type.Integer({ description: 'cases measured' }),
  mape: fraction('mean of |predicted ÷ measured − 1|'),
  median_ape: fraction('median of the same'),
  p90_ape: fraction('90th percentile of the same'),
  bias: fraction('mean of predicted ÷ measured − 1'),
};
const tau = Type.Number({
  description:
    "Kendall's τ-b of predicted and measured times of the tile variants of each problem, pairs of all problems together; pairs whose measured confidence intervals overlap are ties and left out",
});
const ErrorsSchema = Type.Object(errors);
const PartSchema = Type.Object({
  ...errors,
  kendall_tau: tau,
  pairs: Type.Integer({ description: 'pairs of variants that the measurement tells apart' }),
  numerics_failed: Type.Integer(),
  greatest_error: fraction('against the interpreter, of the largest result'),
  tolerance: fraction('of the case where the error comes nearest to it'),
  why: Type.String({ description: 'where that tolerance comes from' }),
  bytes_unequal: Type.Integer(),
});
export type Part = Static<typeof PartSchema>;

const Count = Type.Object({ read_B: Type.Number(), write_B: Type.Number() });
const Counts = Type.Object({ global: Count, shared: Count });

export const CaseSchema = Type.Object({
  id: Type.String(),
  group: Type.String(),
  problem: Type.String(),
  kernel: Type.String(),
  dtype: Type.String(),
  flops: Type.Number(),
  flops_executed: Type.Number(),
  numerics: Type.Object({
    error: Type.Number(),
    tolerance: Type.Number(),
    why: Type.String(),
    pass: Type.Boolean(),
    reference_error: Type.Optional(Type.Number()),
  }),
  bytes: Type.Object({
    interpreter: Counts,
    engine: Counts,
    device: Type.Optional(Counts),
    equal: Type.Boolean(),
    difference: Type.Optional(Type.String()),
  }),
  measured_s: Type.Number(),
  lo_s: Type.Number(),
  hi_s: Type.Number(),
  predicted_s: Type.Number(),
  roofline_s: Type.Number(),
  uncalibrated_s: Type.Optional(Type.Number({ description: 'by a description of which nothing was measured' })),
  bound_by: Type.String(),
  compile_s: Type.Number(),
  clock: Type.Union([Type.Literal('timestamps'), Type.Literal('host')]),
});

export const DeviceReportSchema = Type.Object(
  {
    machine: Type.String(),
    device: Type.String({ description: 'as its driver names it' }),
    fidelity: Type.String(),
    ...errors,
    n_skipped: Type.Integer(),
    kendall_tau: tau,
    kendall_tau_all: Type.Number({ description: 'the same over all cases, whatever they compute' }),
    numerics_failed: Type.Integer(),
    bytes_unequal: Type.Integer(),
    bytes_counted: Type.Integer({ description: 'cases whose bytes the device counted' }),
    by_group: Type.Record(Type.String(), PartSchema),
    by_kernel: Type.Record(Type.String(), PartSchema),
    by_problem: Type.Record(
      Type.String(),
      Type.Object({
        variants: Type.Integer(),
        mape: fraction('mean error'),
        kendall_tau: tau,
        fastest: Type.String({ description: 'case measured fastest' }),
        picked: Type.String({ description: 'case predicted fastest' }),
        regret: fraction('measured time of the picked over the fastest, − 1'),
      }),
    ),
    baselines: Type.Record(Type.String(), ErrorsSchema, { description: 'the same cases by simpler models' }),
    worst: Type.Array(
      Type.Object({
        id: Type.String(),
        measured_s: Type.Number(),
        predicted_s: Type.Number(),
        error: Type.Number(),
        bound_by: Type.String(),
      }),
    ),
    cases: Type.Array(CaseSchema),
    skipped: Type.Array(
      Type.Object({ id: Type.String(), group: Type.String(), problem: Type.String(), skip_reason: Type.String() }),
    ),
    failed: Type.Integer({ description: 'of the skipped, those whose shader failed' }),
    not_exercised: Type.Array(Type.Object({ concept: Type.String(), why: Type.String() })),
    interrupted: Type.Boolean(),
    duration_s: Type.Number(),
  },
  { $id: 'validate' },
);
export type DeviceReport = Static<typeof DeviceReportSchema>;

export interface RunOutcome {
  readonly results: readonly (CaseResult | SkippedCase)[];
  readonly failed: number;
  readonly interrupted: boolean;
  readonly duration_s: number;
  readonly largest_B: number;
}

const MOST_WORST = 10;

export function reportOf(
  outcome: RunOutcome,
  machine: ResourceGraph,
  info: AdapterInfo,
  fidelity: 'steady' | 'event',
): DeviceReport {
  const cases = outcome.results.filter((r): r is CaseResult => !isSkipped(r));
  const skipped = outcome.results.filter(isSkipped);
  const all = partOf(cases);
  const { n, mape, median_ape, p90_ape, bias } = all;
  return {
    machine: machine.name,
    device: info.name,
    fidelity,
    n,
    mape,
    median_ape,
    p90_ape,
    bias,
    n_skipped: skipped.length,
    kendall_tau: all.kendall_tau,
    kendall_tau_all: tauOf([pairsOf(cases)]),
    numerics_failed: all.numerics_failed,
    bytes_unequal: all.bytes_unequal,
    bytes_counted: cases.filter((c) => c.bytes.device).length,
    by_group: parts(cases, (c) => c.group),
    by_kernel: parts(cases, (c) => c.kernel),
    by_problem: Object.fromEntries(
      [...grouped(cases, (c) => c.problem)].map(([name, list]) => {
        const { mape, kendall_tau } = partOf(list);
        const fastest = least(list, (c) => c.measured_s);
        const picked = least(list, (c) => c.predicted_s);
        const regret = picked.measured_s / fastest.measured_s - 1;
        return [name, { variants: list.length, mape, kendall_tau, fastest: fastest.id, picked: picked.id, regret }];
      }),
    ),
    baselines: {
      roofline: errorsIn(cases, (c) => c.roofline_s),
      ...(cases.length > 0 &&
        cases.every((c) => c.uncalibrated_s !== undefined) && {
          uncalibrated: errorsIn(cases, (c) => c.uncalibrated_s!),
        }),
    },
    worst: [...cases]
      .sort((a, b) => off(b) - off(a))
      .slice(0, MOST_WORST)
      .map((c) => ({
        id: c.id,
        measured_s: c.measured_s,
        predicted_s: c.predicted_s,
        error: c.predicted_s / c.measured_s - 1,
        bound_by: c.bound_by,
      })),
    cases,
    skipped,
    failed: outcome.failed,
    not_exercised: unexercised({ info, machine, results: cases, largest_B: outcome.largest_B }),
    interrupted: outcome.interrupted,
    duration_s: outcome.duration_s,
  };
}

/** Why the run is out of tolerance; undefined when it is not. `mape` is a fraction. */
export function outOfTolerance(report: DeviceReport, mape?: number): string | undefined {
  const wrong: string[] = [];
  if (report.numerics_failed > 0) wrong.push(`${report.numerics_failed} of ${report.n} results are wrong`);
  if (report.bytes_unequal > 0) wrong.push(`${report.bytes_unequal} of ${report.n} byte counts differ`);
  if (report.failed > 0) wrong.push(`${report.failed} cases failed on the device`);
  if (mape !== undefined && report.mape > mape)
    wrong.push(
      `the mean error of the times is ${(100 * report.mape).toFixed(1)} %, allowed ${(100 * mape).toFixed(1)} %`,
    );
  return wrong.length > 0 ? wrong.join('; ') : undefined;
}

const off = (c: CaseResult): number => Math.abs(Math.log(c.predicted_s / c.measured_s));

const errorsIn = (list: readonly CaseResult[], pick: (c: CaseResult) => number): Errors =>
  errorsOf(
    list.map(pick),
    list.map((c) => c.measured_s),
  );

/**
 * Two measurements are a tie when their confidence intervals overlap; such a pair orders nothing, so a prediction is
 * neither right nor wrong to tell its members apart.
 */
function pairsOf(list: readonly CaseResult[]): Pairs {
  const order = (i: number, j: number): number => {
    const [a, b] = [list[i]!, list[j]!];
    return a.lo_s > b.hi_s ? 1 : b.lo_s > a.hi_s ? -1 : 0;
  };
  const pairs = countPairs(
    list.map((c) => c.predicted_s),
    list.map((c) => c.measured_s),
    order,
  );
  return { ...pairs, tiedY: 0 };
}

function partOf(list: readonly CaseResult[]): Part {
  const pairs = [...grouped(list, (c) => c.problem).values()].map(pairsOf);
  const closest = list.length > 0 ? least(list, (c) => -ratio(c)) : undefined;
  return {
    ...errorsIn(list, (c) => c.predicted_s),
    kendall_tau: tauOf(pairs),
    pairs: pairs.reduce((n, p) => n + p.concordant + p.discordant + p.tiedX, 0),
    numerics_failed: list.filter((c) => !c.numerics.pass).length,
    greatest_error: Math.max(0, ...list.map((c) => c.numerics.error)),
    tolerance: closest?.numerics.tolerance ?? 0,
    why: closest?.numerics.why ?? '',
    bytes_unequal: list.filter((c) => !c.bytes.equal).length,
  };
}

const ratio = (c: CaseResult): number =>
  c.numerics.error === 0 ? 0 : c.numerics.error / Math.max(c.numerics.tolerance, Number.MIN_VALUE);

const parts = (list: readonly CaseResult[], key: (c: CaseResult) => string): Record<string, Part> =>
  Object.fromEntries([...grouped(list, key)].map(([name, cases]) => [name, partOf(cases)]));

function grouped(list: readonly CaseResult[], key: (c: CaseResult) => string): Map<string, CaseResult[]> {
  const out = new Map<string, CaseResult[]>();
  for (const c of list) {
    const found = out.get(key(c));
    if (found) found.push(c);
    else out.set(key(c), [c]);
  }
  return out;
}

function least<T>(list: readonly T[], of: (x: T) => number): T {
  return list.reduce((best, x) => (of(x) < of(best) ? x : best));
}
