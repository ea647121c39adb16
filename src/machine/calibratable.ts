/**
 * What a calibration may change of a family's machines: numbers that no datasheet gives, each with how far it may
 * reasonably be from what the description says. Fields that a datasheet gives exactly (counts, capacities, shapes,
 * peak rates) are never among them.
 */
import type { Origin, Sourced } from '../base/provenance.js';

export interface Calibratable {
  /** How reports call it. */
  readonly name: string;
  /** Paths of fields that move together; `*` stands for every name of a table. Those a machine lacks are left out. */
  readonly fields: readonly string[];
  readonly what: string;
  /** `factor`: all fields are multiplied by it. `share`: the number itself, from 0 to 1, is moved. */
  readonly by: 'factor' | 'share';
  /**
   * Standard deviation of the prior around the description's value: of the logarithm of the factor, or of the share.
   * It holds for assumed numbers.
   */
  readonly sd: number;
  /** Least and greatest factor, or share. */
  readonly bounds: readonly [least: number, greatest: number];
}

/** A number that somebody measured or published is this much surer than an assumed one. */
const KNOWN: Readonly<Record<Origin, number>> = {
  assumed: 1,
  calibrated: 1,
  paper: 0.5,
  measured: 0.5,
  datasheet: 0.25,
};

/** A calibratable number of one machine. */
export interface Constant extends Omit<Calibratable, 'fields'> {
  readonly fields: readonly { readonly path: string; readonly value: number; readonly unit: string }[];
  /** What the description says its main field is, and on what grounds. */
  readonly from: Origin;
}

/** The constants that a machine has. */
export function constantsOf(list: readonly Calibratable[], fields: ReadonlyMap<string, Sourced>): Constant[] {
  return list.flatMap((c): Constant[] => {
    const found = c.fields.flatMap((pattern) => matching(pattern, fields));
    // nothing to multiply
    const used = c.by === 'factor' ? found.filter(({ value }) => value !== 0) : found;
    if (used.length === 0) return [];
    const { from } = fields.get(used[0]!.path)!;
    let [least, greatest] = c.bounds;
    // a ratio is at most 1
    for (const { path, value } of used)
      if (c.by === 'factor' && fields.get(path)!.dimension === 'ratio') greatest = Math.min(greatest, 1 / value);
    least = Math.min(least, greatest);
    return [{ ...c, bounds: [least, greatest], fields: used, from, sd: c.sd * KNOWN[from] }];
  });
}

function matching(pattern: string, fields: ReadonlyMap<string, Sourced>) {
  const regexp = new RegExp(`^${pattern.split('*').map(escaped).join('[^.]+')}$`);
  return [...fields].filter(([path]) => regexp.test(path)).map(([path, { value, unit }]) => ({ path, value, unit }));
}
const escaped = (text: string) => text.replaceAll('.', '\\.');

/** Where `z` is 0 the description's value stands; at 1 it is one standard deviation of the prior up. */
export function valueAt(c: Constant, field: Constant['fields'][number], z: number): number {
  return c.by === 'factor' ? field.value * factorAt(c, z) : shareAt(c, field.value, z);
}
export const factorAt = (c: Constant, z: number): number => clamp(Math.exp(c.sd * z), c.bounds);
const shareAt = (c: Constant, value: number, z: number): number => clamp(value + c.sd * z, c.bounds);
const clamp = (x: number, [least, greatest]: readonly [number, number]) => Math.min(greatest, Math.max(least, x));

/** The bounds in terms of `z`. */
export function boundsOf(c: Constant): readonly [least: number, greatest: number] {
  const [least, greatest] = c.bounds;
  if (c.by === 'factor') return [Math.log(least) / c.sd, Math.log(greatest) / c.sd];
  const { value } = c.fields[0]!;
  return [(least - value) / c.sd, (greatest - value) / c.sd];
}
