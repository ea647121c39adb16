/** A calibration as a machine description that extends the one it started from, and as rows of a report. */
import type { Json } from '../../base/json.js';
import { valueAt } from '../../machine/calibratable.js';
import type { MeasuredRow } from '../measured.js';
import { inPlaceOf, type Residual, type SpreadTable, spreadOf } from '../spread.js';
import { errorsOf } from '../statistics.js';
import type { Calibrated, Fitted } from './calibrate.js';

export interface Description {
  readonly extends: string;
  readonly name: string;
  readonly title: string;
  readonly date: string;
  readonly seed: number;
  readonly files: readonly string[];
}

type Section = { [key: string]: Json };

/** Changes below this are none. */
const LEAST_CHANGE = 0.002;

/**
 * The changed numbers, each with what it was and how sure it is, and how far predictions were off on rows kept out.
 * `inherited`: how far the description that this one extends says they are.
 */
export function describe(c: Calibrated, d: Description, inherited: SpreadTable = {}): Section {
  const rows = `${c.n.fit} rows`;
  const [before, after] = [c.before, c.test].map(meanError);
  const out: Section = {
    $note: `Made by tilewright calibrate on ${d.date}, seed ${d.seed}, from ${d.files.join(', ')}: constants fitted to ${c.n.fit} rows. Mean error on ${c.test.length} rows kept out: ${percent(before!)} before, ${percent(after!)} after.`,
    extends: d.extends,
    name: d.name,
    title: d.title,
  };
  for (const f of c.fitted)
    for (const field of f.constant.fields) {
      const value = valueAt(f.constant, field, f.z);
      if (Math.abs(value - field.value) <= LEAST_CHANGE * Math.abs(field.value)) continue;
      const was = `${rounded(field.value)}${field.unit ? ` ${field.unit}` : ''} (${f.constant.from})`;
      const sd =
        f.constant.by === 'factor' ? `${percent(f.posterior_sd)} standard deviation` : `± ${rounded(f.posterior_sd)}`;
      put(out, field.path, {
        value: field.unit ? `${rounded(value)} ${field.unit}` : rounded(value),
        from: 'calibrated',
        source: `fitted to ${rows} of measured times, ${d.date}; was ${was}; ${sd}; mean error on rows kept out ${percent(after!)}`,
      });
    }
  const spread = spreadOf(residualsOf(c.spread));
  if (Object.keys(spread).length > 0)
    out['uncertainty'] = {
      $from: 'calibrated',
      $source: `measured ÷ predicted of ${c.spread.length} rows of the same tables that no constant was fitted to, 5 % and 95 %; ${percent(insideOf(c.test, spread))} of ${c.test.length} other rows lie between`,
      ...Object.fromEntries(
        Object.entries(inPlaceOf(inherited, spread)).map(([name, { lo, hi, n }]) => [
          name,
          { lo: rounded(lo), hi: rounded(hi), rows: n },
        ]),
      ),
    };
  return out;
}

function put(tree: Section, path: string, value: Json): void {
  const keys = path.split('.');
  let at = tree;
  for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Section;
  at[keys.at(-1)!] = value;
}

/** Predicted rows as residuals. */
export const residualsOf = (rows: readonly MeasuredRow[]): Residual[] =>
  rows.map((r) => ({ classes: r.classes!, predicted_s: r.predicted_s!, measured_s: r.measured_s! }));

/** Share of rows whose measured time is inside the interval of a table. */
export function insideOf(
  rows: readonly MeasuredRow[],
  table: Readonly<Record<string, { lo: number; hi: number }>>,
): number {
  if (rows.length === 0) return 0;
  const inside = rows.filter((r) => {
    const by = r.classes!.find((name) => table[name]);
    if (!by) return false;
    const ratio = r.measured_s! / r.predicted_s!;
    return ratio >= table[by]!.lo && ratio <= table[by]!.hi;
  });
  return inside.length / rows.length;
}

/** A constant as a row of a report. */
export interface ConstantReport {
  readonly name: string;
  readonly fields: readonly string[];
  readonly what: string;
  readonly unit: string;
  readonly before: number;
  readonly from: string;
  readonly after: number;
  /** Of the logarithm of the value, or of a share. */
  readonly prior_sd: number;
  readonly posterior_sd: number;
  /** Share of the prior variance that the rows removed. */
  readonly determined: number;
  readonly sensitivity: number;
  readonly most: string;
  readonly partner?: string;
  readonly correlation?: number;
  readonly warning?: string;
}

/** Beyond these the report warns. */
const FAR = 2;
const ALIKE = 0.9;

export function reportOf(f: Fitted): ConstantReport {
  const { constant, partner } = f;
  const field = constant.fields[0]!;
  const warnings = [
    ...(f.at_bound ? ['at its bound'] : []),
    ...(Math.abs(f.z) > FAR ? [`${Math.abs(f.z).toFixed(1)} standard deviations from its prior`] : []),
    ...(partner && Math.abs(partner.correlation) > ALIKE ? [`cannot be told from ${partner.name}`] : []),
  ];
  return {
    name: constant.name,
    fields: constant.fields.map(({ path }) => path),
    what: constant.what,
    unit: field.unit,
    before: field.value,
    from: constant.from,
    after: valueAt(constant, field, f.z),
    prior_sd: f.prior_sd,
    posterior_sd: f.posterior_sd,
    determined: Math.max(0, 1 - (f.posterior_sd / f.prior_sd) ** 2),
    sensitivity: f.sensitivity,
    most: f.most,
    ...(partner && { partner: partner.name, correlation: partner.correlation }),
    ...(warnings.length > 0 && { warning: warnings.join('; ') }),
  };
}

const meanError = (rows: readonly MeasuredRow[]): number =>
  errorsOf(
    rows.map((r) => r.predicted_s!),
    rows.map((r) => r.measured_s!),
  ).mape;
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
const rounded = (x: number): number => Number(x.toPrecision(4));
