/** How busy the arrays of a machine are, and why: shares of the time by array, and the reasons in sentences. */
import type { Occupancy, OccupancyPart } from '../engine/nest/occupancy.js';
import { percent, plain, quantity } from './format.js';
import type { SimulationOp } from './simulation.js';
import { shortName } from './words.js';

type ArrayOf = Occupancy['arrays'][number];
type PartOf = ArrayOf['parts'][number];

/** Beside what launches laid on arrays do: ops that run as grids of workgroups, launch cost, and pauses. */
export type TimePart = OccupancyPart | 'grid' | 'launch' | 'pause';

/** Reasons below this share of the time are not worth a sentence. */
const LEAST_SHARE = 0.0005;

/** Einsums that a sentence names, at most. */
const MOST_NAMES = 4;

/** "256 × 256" */
export const sizeText = ({ rows, columns }: ArrayOf): string => `${plain(rows, 6)} × ${plain(columns, 6)}`;

export type LaidOp = Pick<SimulationOp, 'repeat' | 'time_s' | 'launch_s' | 'clock_Hz' | 'arrays'>;

/** Of an op on arrays, the time that is none of its launches' cycles. */
export function restOf(op: Omit<LaidOp, 'repeat'>, laid_s: number): Map<'launch' | 'pause', number> {
  const rest_s = op.time_s - laid_s;
  // filling and draining are cycles of the array, and counted as launch too
  const twice_s = (op.arrays ?? []).reduce((sum, o) => sum + o.fill_drain_cycles / op.clock_Hz!, 0);
  const launch_s = Math.min(rest_s, op.launch_s - twice_s);
  // what is left of the rounding of sums is no pause
  const pauses = rest_s - launch_s > 1e-9 * op.time_s;
  return new Map(
    pauses
      ? [
          ['launch', launch_s],
          ['pause', rest_s - launch_s],
        ]
      : [['launch', rest_s]],
  );
}

/** Seconds of ops by array and what its places do in them; they sum to the ops' time, repeats counted. */
export function timeByArray(ops: readonly LaidOp[]): Map<string, Map<TimePart, number>> {
  const units = new Set(ops.flatMap((op) => (op.arrays ?? []).flatMap((o) => o.arrays.map((a) => a.unit))));
  return new Map(
    [...units].map((unit) => {
      const parts = new Map<TimePart, number>();
      const add = (part: TimePart, time_s: number) => parts.set(part, (parts.get(part) ?? 0) + time_s);
      for (const op of ops) {
        let laid_s = 0;
        for (const o of op.arrays ?? []) {
          laid_s += o.cycles / op.clock_Hz!;
          for (const { part, cycles } of o.arrays.find((a) => a.unit === unit)!.parts)
            add(part, (op.repeat * cycles) / op.clock_Hz!);
        }
        if (op.arrays) for (const [part, s] of restOf(op, laid_s)) add(part, op.repeat * s);
        else add('grid', op.repeat * op.time_s);
      }
      return [unit, parts];
    }),
  );
}

/** Parts of one array with their share of the launch, largest first, each with its reason. */
export function reasonsOf(o: Occupancy, array: ArrayOf): { part: PartOf; share: number; reason: string }[] {
  return array.parts
    .map((part) => ({ part, share: part.cycles / o.cycles, reason: reasonOf(part, o, array) }))
    .sort((a, b) => b.share - a.share);
}

/** One sentence on each array, then one for each reason why it does not do more. */
export function whyLines(o: Occupancy): string[] {
  return o.arrays.flatMap((array) => {
    const all = reasonsOf(o, array);
    if (array.parts.some((p) => p.part === 'unused')) return [`${array.unit}: ${all[0]!.reason}.`];
    const work = all.reduce((sum, r) => (r.part.part === 'work' ? sum + r.share : sum), 0);
    return [
      `${array.unit}: ${sizeText(array)} places do useful work in ${percent(work)} of ${plain(o.cycles, 4)} cycles (any of them in ${percent(array.busy_cycles / o.cycles)}).`,
      ...all
        .filter((r) => r.part.part !== 'work' && r.share >= LEAST_SHARE)
        .map((r) => `${array.unit}, ${percent(r.share)}: ${r.reason}.`),
    ];
  });
}

function reasonOf({ part, of, stage }: PartOf, o: Occupancy, array: ArrayOf): string {
  const span = o.spans.find((s) => s.einsum === of && s.unit === array.unit);
  switch (part) {
    case 'work':
      return `${of} computes`;
    case 'gated':
      return `${of} lets the time of zeros pass`;
    case 'edges':
      return `${of} reaches beyond the ends of its ranks${span && span.edges.length > 0 ? ` (${span.edges.map((e) => `${e.rank}: ${plain(e.extent, 7)} laid as ${plain(e.laid, 7)}`).join(', ')})` : ''}`;
    case 'unfilled':
      return `${of} fills ${plain(span!.places, 7)} of ${plain(array.rows * array.columns, 7)} places`;
    case 'other_array': {
      const others = o.spans.filter((s) => s.stage === stage && s.unit === of).sort((a, b) => b.cycles - a.cycles);
      const names = others.slice(0, MOST_NAMES).map((s) => `${s.einsum} ${plain(s.cycles)}`);
      const more = others.length - names.length;
      return `waits ${o.stages.length > 1 ? `in stage ${stage} ` : ''}for ${of}, which has more to do there (cycles: ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''})`;
    }
    case 'reduction':
      return `each epoch waits ${plain(o.reduction_cycles)} cycles for what places combine on the way to the next stage${o.in_flight === 1 ? '; epochs of other tiles in flight would fill them' : ''}`;
    case 'store':
      return storeReason(of, o);
    case 'fill_drain':
      return `the last place starts ${plain(o.fill_drain_cycles)} cycles after the first, and ends as much later`;
    case 'unused':
      return 'no einsum of this launch is laid on it';
  }
}

function storeReason(of: string, o: Occupancy): string {
  const store = o.stores.find((s) => s.store === of);
  const most = Object.entries(store?.tensors_B ?? {}).sort((a, b) => b[1] - a[1]);
  const arrays = o.round_cycles - o.store_cycles;
  return `waits for ${shortName(of)}, which needs ${plain(o.round_cycles)} cycles ${o.round === 'tile' ? 'a tile' : 'an epoch'} where the arrays need ${plain(arrays)}; it moves ${most
    .slice(0, 3)
    .map(([tensor, bytes]) => `${tensor} ${quantity(bytes, 'B')}`)
    .join(', ')}`;
}
