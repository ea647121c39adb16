/** Which einsum occupies which array when, in one round of a launch, as text for the terminal. */
import type { Occupancy, OccupancySpan } from '../engine/nest/occupancy.js';
import { plain } from './format.js';
import { whyLines } from './occupancy.js';
import { displayWidth } from './table.js';

const WIDTH = 76;

/** A strip for each array, stages between bars, with what each strip says in numbers below. */
export function epochText(o: Occupancy): string {
  const units = [...new Set(o.spans.map((s) => s.unit))];
  const head = Math.max(...units.map((u) => displayWidth(u)));
  const widths = stageWidths(o);
  const strips = units.map((unit) => {
    const cells = o.stages.map((cycles, i) => {
      const own = o.spans.filter((s) => s.unit === unit && s.stage === i + 1);
      return strip(own, cycles, widths[i]!);
    });
    return `${unit.padEnd(head)} │${cells.join('│')}│`;
  });
  let end = 0;
  const marks = o.stages.map((cycles, i) => plain((end += cycles)).padStart(widths[i]!));
  const what = o.round === 'tile' ? 'tiles of the near store' : 'epochs';
  const first =
    o.rounds === 1
      ? `The whole launch: ${plain(o.round_cycles)} cycles`
      : `One of ${plain(o.rounds, 7)} ${what}: ${plain(o.round_cycles)} cycles`;
  return [
    `${first}${o.in_flight > 1 ? `, ${o.in_flight} in flight together` : ''}`,
    ...strips,
    `${' '.repeat(head)}  ${marks.join(' ')}`,
    ...whyLines(o),
  ].join('\n');
}

/** Columns of each stage: in proportion, with room for the names. */
function stageWidths({ stages, spans }: Occupancy): number[] {
  const length = stages.reduce((n, s) => n + s, 0);
  return stages.map((cycles, i) => {
    const units = new Map<string, number>();
    for (const s of spans)
      if (s.stage === i + 1) units.set(s.unit, (units.get(s.unit) ?? 0) + displayWidth(s.einsum) + 1);
    return Math.max(Math.round((WIDTH * cycles) / length), ...units.values());
  });
}

/** Names of einsums from left to right, each with a line as long as it lasts. */
function strip(own: readonly OccupancySpan[], cycles: number, width: number): string {
  const spare = width - own.reduce((n, s) => n + displayWidth(s.einsum) + 1, 0);
  const text = own
    .map((s) => `${s.einsum}${'─'.repeat(Math.floor((Math.max(0, spare) * s.cycles) / cycles))} `)
    .join('');
  return text.padEnd(width).slice(0, width);
}
