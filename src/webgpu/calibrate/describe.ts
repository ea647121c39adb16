/** Figures → machine description. What was measured says so, with its spread; what WebGPU cannot tell is `assumed`, with why. */
import type { Json } from '../../base/json.js';
import { describeCpu } from './describe-cpu.js';
import { describeGpu } from './describe-gpu.js';
import type { Figure } from './measure.js';
import type { Measured } from './run.js';

export interface CalibrationInfo {
  readonly name: string;
  /** YYYY-MM-DD. */
  readonly date: string;
}

export interface Calibration {
  readonly machine: Record<string, Json>;
  /** Relative, by path of the description. */
  readonly spread: Record<string, number>;
}

/** Collects a description's numbers and their spreads. */
export class Writer {
  readonly spread: Record<string, number> = {};
  constructor(readonly how: string) {}

  /** `value` of a figure in the units of the description. */
  measured(path: string, value: number, { spread }: Pick<Figure, 'spread'>, note = ''): Json {
    this.spread[path] = rounded(spread);
    return {
      value: rounded(value),
      from: 'measured',
      source: `${this.how}; within ${Math.ceil(spread * 100)} %${note ? `; ${note}` : ''}`,
    };
  }
  assumed(value: number | string, source: string): Json {
    return { value, from: 'assumed', source };
  }
  limit(value: number, source: string): Json {
    return { value, from: 'measured', source };
  }
}

export function describe(measured: Measured, info: CalibrationInfo): Calibration {
  return measured.setup.cpu ? describeCpu(measured, info) : describeGpu(measured, info);
}

/** The spread of a ratio or product: those of its parts together. */
export const both = (...figures: readonly Figure[]): { spread: number } => ({
  spread: Math.hypot(...figures.map((f) => f.spread)),
});

/** Four digits: more than any figure is good for. */
export const rounded = (x: number): number => Number(x.toPrecision(4));
export const wholeBytes = (x: number): number => Math.round(x);
