/** Explanations of how busy arrays of processing elements are: of a whole replay by cause, of one op reason by reason. */
import { type Explanation, leaf } from './explain-node.js';
import type { Subject } from './explain-run.js';
import { plain, quantity } from './format.js';
import { type LaidOp, reasonsOf, restOf, sizeText, timeByArray } from './occupancy.js';
import { shortName } from './words.js';

const opsOf = (sim: Subject): readonly LaidOp[] => sim.ops ?? [{ ...sim, repeat: 1 }];

/** Arrays that some op is laid on a nest of. */
export const unitsOf = (sim: Subject): string[] => [...timeByArray(opsOf(sim)).keys()];

/** Of all arrays, or of one; undefined where nothing is laid on arrays, or there is no such array. */
export function utilisation(metric: string, unit: string | undefined, sim: Subject): Explanation | undefined {
  const units = unitsOf(sim);
  if (unit !== undefined) return units.includes(unit) ? ofArray(metric, unit, sim) : undefined;
  if (units.length === 0) return undefined;
  return {
    metric,
    unit: '%',
    note: 'useful work of all places ÷ (places × time), of each array',
    parts: units.map((u) => ofArray(`${metric}.${u}`, u, sim)),
  };
}

function ofArray(metric: string, unit: string, sim: Subject): Explanation {
  const time_s = timeByArray(opsOf(sim)).get(unit)!;
  const work_s = time_s.get('work') ?? 0;
  return leaf(metric, work_s / sim.time_s, '%', {
    formula: 'time that its places compute, on the mean ÷ time_s',
    substituted: `${quantity(work_s, 's')} ÷ ${quantity(sim.time_s, 's')}`,
    parts: sim.ops ? byCause(time_s, sim) : byReason(unit, sim),
  });
}

/** The parts sum to the whole time. */
function byCause(time_s: ReadonlyMap<string, number>, sim: Subject): Explanation[] {
  return [...time_s]
    .filter(([, s]) => s > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([part, s]) => leaf(shortName(part), s / sim.time_s, '%', { substituted: quantity(s, 's') }));
}

function byReason(unit: string, sim: Subject): Explanation[] {
  const laid_s = sim.arrays!.map((o) => o.cycles / sim.clock_Hz!);
  return [
    ...sim.arrays!.map((o, i) => {
      const array = o.arrays.find((a) => a.unit === unit)!;
      return leaf(o.launch, laid_s[i]! / sim.time_s, '%', {
        substituted: `${plain(o.cycles, 4)} cycles at ${quantity(sim.clock_Hz!, 'Hz')}: ${plain(o.rounds, 9)} ${o.round === 'tile' ? 'tiles' : 'epochs'} of ${plain(o.round_cycles)}, and ${plain(o.fill_drain_cycles)} to fill and drain; ${sizeText(array)} places`,
        parts: reasonsOf(o, array).map(({ part, share, reason }) =>
          leaf(shortName(part.part), (share * laid_s[i]!) / sim.time_s, '%', { note: reason }),
        ),
      });
    }),
    ...[
      ...restOf(
        sim,
        laid_s.reduce((a, b) => a + b, 0),
      ),
    ].map(([part, s]) => leaf(shortName(part), s / sim.time_s, '%')),
  ];
}
