/**
 * Where a number came from. A quantity in a description file is a bare number or text, or wrapped as
 * `{ "value": …, "from": …, "source": … }`; a section may say `"$from"` and `"$source"` once for all that stands below it.
 */
import type { DimensionName } from './units.js';

export const ORIGINS = ['datasheet', 'paper', 'measured', 'calibrated', 'assumed'] as const;
export type Origin = (typeof ORIGINS)[number];

export interface Provenance {
  readonly from: Origin;
  readonly source: string;
}

/** A resolved number with its whole story; `text` is what the file said (a formula, a unit string or a number). */
export interface Sourced extends Provenance {
  readonly value: number;
  readonly dimension: DimensionName;
  /** Base unit of the value: "B/s", "Hz", "" for counts. */
  readonly unit: string;
  readonly text: string;
}

export function isOrigin(text: unknown): text is Origin {
  return (ORIGINS as readonly unknown[]).includes(text);
}
