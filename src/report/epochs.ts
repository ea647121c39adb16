/**
 * Which einsum occupies which array when, in one epoch of a nest, and why the arrays are as busy as they are. Stages
 * follow one another; in a stage each array does its einsums in turn.
 */
import type { NestResult } from '../engine/nest/types.js';
import type { Nest } from '../kernel/nest.js';
import { percent, plain } from './format.js';
import { displayWidth } from './table.js';

export interface Span {
  readonly unit: string;
  readonly einsum: string;
  readonly stage: number;
  /** Cycles from the epoch's start. */
  readonly from: number;
  readonly cycles: number;
}

export interface Epoch {
  readonly spans: readonly Span[];
  /** Where each stage starts, and where the last ends. */
  readonly edges: readonly number[];
  /** Mean wait of an epoch beyond its stages. */
  readonly stall_cycles: number;
}

/** Mean over all epochs: an einsum outside the loop over blocks has its share of each. */
export function epochOf(nest: Nest, result: NestResult): Epoch {
  const spans: Span[] = [];
  const edges = [0];
  let i = 0;
  nest.stages.forEach(({ nests }, stage) => {
    const start = edges.at(-1)!;
    const at = new Map<string, number>();
    for (const { einsum, unit } of nests) {
      const cycles = result.einsums[i++]!.compute_cycles / result.epochs;
      const from = at.get(unit) ?? start;
      spans.push({ unit, einsum, stage, from, cycles });
      at.set(unit, from + cycles);
    }
    edges.push(start + result.stages[stage]!.cycles);
  });
  return { spans, edges, stall_cycles: result.stall_cycles / result.epochs };
}

const WIDTH = 76;

/** A strip for each array, stages between bars, with what each strip says in numbers below. */
export function epochText(nest: Nest, result: NestResult): string {
  const { spans, edges, stall_cycles } = epochOf(nest, result);
  const length = edges.at(-1)!;
  const units = [...new Set(spans.map((s) => s.unit))];
  const head = Math.max(...units.map((u) => displayWidth(u)));
  const widths = stageWidths(spans, edges);
  const strips = units.map((unit) => {
    const cells = edges.slice(1).map((end, stage) => {
      const own = spans.filter((s) => s.unit === unit && s.stage === stage);
      return strip(own, end - edges[stage]!, widths[stage]!);
    });
    return `${unit.padEnd(head)} │${cells.join('│')}│`;
  });
  const marks = edges.slice(1).map((e, stage) => plain(e).padStart(widths[stage]!));
  const busy = units.map((u) => {
    const own = spans.filter((s) => s.unit === u).reduce((n, s) => n + s.cycles, 0);
    return `${u} ${percent((own * result.epochs) / result.cycles)}`;
  });
  const turns = nest.in_flight ?? 1;
  return [
    `One of ${plain(result.epochs, 7)} epochs: ${plain(length)} cycles${turns > 1 ? `, ${turns} in flight together` : ''}`,
    ...strips,
    `${' '.repeat(head)}  ${marks.join(' ')}`,
    `Busy: ${busy.join(', ')} of ${plain(result.cycles, 4)} cycles; first operands in and last results out: ${result.fill_drain_cycles} more.`,
    ...whyLines(nest, result, spans, edges, stall_cycles),
  ].join('\n');
}

/** Columns of each stage: in proportion, with room for the names. */
function stageWidths(spans: readonly Span[], edges: readonly number[]): number[] {
  const length = edges.at(-1)!;
  return edges.slice(1).map((end, stage) => {
    const units = new Map<string, number>();
    for (const s of spans)
      if (s.stage === stage) units.set(s.unit, (units.get(s.unit) ?? 0) + displayWidth(s.einsum) + 1);
    return Math.max(Math.round((WIDTH * (end - edges[stage]!)) / length), ...units.values());
  });
}

/** Names of einsums from left to right, each with a line as long as it lasts. */
function strip(own: readonly Span[], cycles: number, width: number): string {
  const spare = width - own.reduce((n, s) => n + displayWidth(s.einsum) + 1, 0);
  const text = own
    .map((s) => `${s.einsum}${'─'.repeat(Math.floor((Math.max(0, spare) * s.cycles) / cycles))} `)
    .join('');
  return text.padEnd(width).slice(0, width);
}

function whyLines(
  nest: Nest,
  result: NestResult,
  spans: readonly Span[],
  edges: readonly number[],
  stall_cycles: number,
): string[] {
  const lines: string[] = [];
  const memory = result.cycles > result.compute_cycles + result.stall_cycles;
  if (memory)
    lines.push(`${result.bound_by} sets the pace: it needs ${plain(result.cycles / result.epochs)} cycles an epoch.`);
  if (stall_cycles > 0)
    lines.push(
      `Each epoch waits ${plain(stall_cycles)} cycles more for what rows combine on the way to the next stage${(nest.in_flight ?? 1) === 1 ? '; epochs of other tiles in flight would fill them' : ''}.`,
    );
  edges.slice(1).forEach((end, stage) => {
    const cycles = end - edges[stage]!;
    const busy = new Map<string, number>();
    for (const s of spans) if (s.stage === stage) busy.set(s.unit, (busy.get(s.unit) ?? 0) + s.cycles);
    for (const unit of new Set(spans.map((s) => s.unit))) {
      const idle = cycles - (busy.get(unit) ?? 0);
      if (idle > 0.01 * edges.at(-1)!)
        lines.push(`Stage ${stage + 1}: ${unit} has ${plain(idle)} of ${plain(cycles)} cycles nothing to do.`);
    }
  });
  for (const a of result.einsums)
    if (a.places < a.places_all)
      lines.push(`${a.einsum} fills ${plain(a.places, 5)} of ${plain(a.places_all, 5)} places of ${a.unit}.`);
  return lines;
}
