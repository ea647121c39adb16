/** Rows of measured tables as the samples of a calibration, and their predictions. */
import { Mapper } from '../../kernel/mapper.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { Call } from '../calls.js';
import type { Row, Skip } from '../fields.js';
import { type MeasuredRow, predictRow } from '../measured.js';
import { isInfeasible, readRows, readTable, reasonsOf } from '../predict.js';
import { ASSUMED_SPREAD } from '../spread.js';

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
