/** Explanations of times, energies and bounds: of a whole replay or of one op of it. */

import { type Explanation, type Fields, leaf, section, sourced } from './explain-node.js';
import { percent, quantity } from './format.js';
import type { SimulationJson, SimulationOp } from './simulation.js';
import { resourceInWords, shortName } from './words.js';

/** A replay, or one op, which has no ops below it. */
export type Subject = Omit<SimulationOp, 'name' | 'kind' | 'kernel' | 'tile' | 'repeat'> &
  Partial<Pick<SimulationOp, 'kernel' | 'tile' | 'repeat'>> & { readonly ops?: readonly SimulationOp[] | undefined };

/** Busy times beside the time: the busiest resource, or latency between them, sets the pace. */
export function kernelTime(metric: string, sim: Subject, fields: Fields): Explanation {
  const busy = Object.entries(sim.busy_s ?? {}).sort((a, b) => b[1] - a[1]);
  const body = sim.time_s - sim.launch_s;
  return {
    metric,
    value: sim.time_s,
    unit: 's',
    formula: 'launch_s + time of the kernel',
    substituted: `${quantity(sim.launch_s, 's')} + ${quantity(body, 's')}`,
    note: [
      `bound by ${resourceInWords(sim.bound_by)}`,
      ...(sim.kernel ? [`kernel ${sim.kernel}`] : []),
      ...(busy[0]
        ? [
            `${quantity(Math.max(0, body - busy[0][1]), 's')} beyond the busiest resource: fill, drain, waves and dependences`,
          ]
        : []),
    ].join('; '),
    parts: [
      ...busy.map(([resource, time_s]) => busyTime(resource, time_s, sim, fields)),
      leaf('launch_s', sim.launch_s, 's', { parts: section(fields, 'launch') }),
    ],
  };
}

function busyTime(resource: string, time_s: number, sim: Subject, fields: Fields): Explanation {
  const share = `busy ${percent(time_s / sim.time_s)} of the time`;
  const moved = sim.moved_B[resource];
  const demand: [number, string] | undefined =
    moved !== undefined
      ? [moved, 'B']
      : resource === 'matrix' && sim.flops_executed > 0
        ? [sim.flops_executed, 'FLOP']
        : undefined;
  return leaf(`busy_s.${resource}`, time_s, 's', {
    ...(demand && time_s > 0
      ? {
          formula: demand[1] === 'B' ? `moved_B.${resource} ÷ rate` : 'flops_executed ÷ rate',
          substituted: `${quantity(demand[0], demand[1])} ÷ ${quantity(demand[0] / time_s, `${demand[1]}/s`)}`,
        }
      : {}),
    note: share,
    parts: section(fields, resource).filter((f) => /bandwidth|sustained|efficien|fraction/.test(f.metric)),
  });
}

export function energyPart(metric: string, part: string, sim: Subject, fields: Fields): Explanation {
  const energy = sim.energy_by_part_J[part]!;
  const share = `${percent(energy / sim.energy_J)} of the energy`;
  if (part === 'static')
    return leaf(metric, energy, 'J', {
      formula: 'static power × time_s',
      substituted: `${quantity(energy / sim.time_s, 'W')} × ${quantity(sim.time_s, 's')}`,
      note: share,
      parts: section(fields, 'energy.static'),
    });
  const tables = tableOf(part, fields);
  const bytes = sim.moved_B[part];
  if (bytes && bytes > 0)
    return leaf(metric, energy, 'J', {
      formula: `moved_B.${part} × energy per byte`,
      substituted: `${quantity(bytes, 'B')} × ${quantity((energy / bytes) * 1e12, 'pJ/B')}`,
      note: share,
      parts: tables,
    });
  if (part === 'matrix' && sim.flops_executed > 0)
    return leaf(metric, energy, 'J', {
      formula: 'multiply–accumulates × energy each',
      note: `${share}; ${quantity(sim.flops_executed / 2, 'MAC')} at most, so ${quantity((energy / (sim.flops_executed / 2)) * 1e12, 'pJ')} each at least`,
      parts: section(fields, 'energy.mac'),
    });
  return leaf(metric, energy, 'J', {
    formula: 'Σ actions × energy per action',
    note: share,
    parts: part === 'vector' ? section(fields, 'energy.op') : tables,
  });
}

/** Fields that say what an action of `part` costs. */
function tableOf(part: string, fields: Fields): Explanation[] {
  const names = part === 'link' ? /(_control|peer|host|link)$/ : new RegExp(`(^|\\.)${part}(_\\w+)?$`);
  const found = [...fields].filter(([path, f]) => f.unit.startsWith('pJ') && names.test(path));
  const activity = found.length > 0 && part !== 'link' ? section(fields, 'energy.activity') : [];
  return [...found.map(([path, f]) => sourced(path, f)), ...activity];
}
export function boundBy(metric: string, sim: Subject): Explanation {
  const causes = new Map<string, number>();
  for (const o of sim.ops ?? []) causes.set(o.bound_by, (causes.get(o.bound_by) ?? 0) + o.time_s * o.repeat);
  const busy = [...(sim.ops ? causes : new Map(Object.entries(sim.busy_s ?? {})))].sort((a, b) => b[1] - a[1]);
  return {
    metric,
    value: sim.bound_by,
    unit: '',
    formula: sim.ops
      ? 'the resource whose ops take most of the time'
      : 'the resource or dependence that sets the pace of the kernel',
    parts: busy.map(([resource, time_s]) =>
      leaf(sim.ops ? `ops bound by ${shortName(resource)}` : `busy_s.${resource}`, time_s, 's', {
        note: `${percent(time_s / sim.time_s)} of the time`,
      }),
    ),
  };
}

export function produced(metric: string, what: string | undefined, sim: SimulationJson): Explanation | undefined {
  const made = sim.produces;
  if (!made) return undefined;
  if (what === 'energy_J_each')
    return leaf(metric, made.energy_J_each, `J/${made.unit}`, {
      formula: 'energy_J × devices ÷ produces.count',
      substituted: `${quantity(sim.energy_J, 'J')} × ${sim.devices ?? 1} ÷ ${quantity(made.count, made.unit)}`,
    });
  if (what === 'per_s' || what === undefined)
    return leaf(metric, made.per_s, `${made.unit}/s`, {
      formula: 'produces.count ÷ time_s',
      substituted: `${quantity(made.count, made.unit)} ÷ ${quantity(sim.time_s, 's')}`,
    });
  return undefined;
}
