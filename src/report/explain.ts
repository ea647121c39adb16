/**
 * How a number came about: its formula, the values put in, and where those come from, down to fields of the machine
 * with their sources. Pure; the result is a tree that the command line prints and JSON holds.
 */
import { unknownName } from '../base/errors.js';
import type { Sourced } from '../base/provenance.js';
import { percent, quantity } from './format.js';
import type { SimulationJson, SimulationOp } from './simulation.js';
import { printable } from './table.js';
import { resourceInWords, shortName } from './words.js';

export interface Explanation {
  readonly metric: string;
  readonly value?: number | string;
  /** Base unit of the value; % marks a fraction. */
  readonly unit: string;
  /** In names. */
  readonly formula?: string;
  /** The same in values. */
  readonly substituted?: string;
  readonly note?: string;
  /** Of a field: how the file puts it, and where it comes from. */
  readonly text?: string;
  readonly from?: string;
  readonly source?: string;
  readonly parts: readonly Explanation[];
}

export interface ExplainContext {
  readonly simulation: SimulationJson;
  /** Every number of the machine's description by path. */
  readonly fields: ReadonlyMap<string, Sourced>;
}

/** Parts beyond this are gathered in one. */
const MOST_PARTS = 10;

/**
 * Explains `metric`: a figure of the result (time_s, energy_J, moved_B.dram, …), of an op (ops.NAME.time_s) or a field
 * of the machine (machine.dram.bandwidth; a section explains all its fields).
 * @throws InputError for a metric there is not, with the nearest there is.
 */
export function explain(metric: string, context: ExplainContext): Explanation {
  if (metric === 'machine' || metric.startsWith('machine.')) return field(metric, context.fields);
  const found = op(metric, context) ?? figure(metric, context.simulation, context, '');
  if (found) return found;
  throw unknownName('metric', metric, metricsOf(context));
}

/** All that can be explained: figures, those of ops, and machine fields. */
export function metricsOf({ simulation: sim, fields }: ExplainContext): string[] {
  const plain = ['time_s', 'launch_s', 'energy_J', 'power_W', 'roof_fraction', 'bound_by', 'flops'];
  const stores = (name: 'requested_B' | 'moved_B') => [name, ...Object.keys(sim[name]).map((s) => `${name}.${s}`)];
  const own = [
    ...plain,
    ...stores('requested_B'),
    ...stores('moved_B'),
    'energy_by_part_J',
    ...Object.keys(sim.energy_by_part_J).map((part) => `energy_by_part_J.${part}`),
    ...(sim.produces ? ['produces.per_s', 'produces.energy_J_each'] : []),
  ];
  const names = [...new Set((sim.ops ?? []).map((o) => o.name))];
  return [
    ...own,
    ...names.flatMap((name) => plain.map((m) => `ops.${name}.${m}`)),
    ...[...fields.keys()].map((path) => `machine.${path}`),
  ];
}

function op(metric: string, context: ExplainContext): Explanation | undefined {
  if (!metric.startsWith('ops.')) return undefined;
  const rest = metric.slice(4);
  // names hold dots themselves: the longest that fits
  const found = (context.simulation.ops ?? [])
    .filter((o) => rest === o.name || rest.startsWith(`${o.name}.`))
    .sort((a, b) => b.name.length - a.name.length)[0];
  if (!found) return undefined;
  const prefix = `ops.${found.name}.`;
  const inner = rest === found.name ? 'time_s' : rest.slice(found.name.length + 1);
  return figure(inner, { ...found, ops: undefined }, context, prefix);
}

type Subject = Omit<SimulationOp, 'name' | 'kind' | 'kernel' | 'tile' | 'repeat'> &
  Partial<Pick<SimulationOp, 'kernel' | 'tile' | 'repeat'>> & { readonly ops?: readonly SimulationOp[] };

function figure(metric: string, sim: Subject, context: ExplainContext, prefix: string): Explanation | undefined {
  const [head, store] = divide(metric);
  const name = prefix + metric;
  const { fields, simulation } = context;
  switch (head) {
    case 'time_s':
      return sim.ops
        ? sumOverOps(name, 's', sim.ops, sim.time_s, (o) => o.time_s, 'time_s')
        : kernelTime(name, sim, fields);
    case 'launch_s':
      return {
        ...(sim.ops
          ? sumOverOps(name, 's', sim.ops, sim.launch_s, (o) => o.launch_s, 'launch_s')
          : leaf(name, sim.launch_s, 's', { note: 'launch, start and drain of the kernel’s launches' })),
        parts: section(fields, 'launch'),
      };
    case 'energy_J': {
      const parts = Object.entries(sim.energy_by_part_J).filter(([, v]) => v > 0);
      return {
        metric: name,
        value: sim.energy_J,
        unit: 'J',
        formula: `Σ ${parts.map(([part]) => `energy_by_part_J.${part}`).join(' + ')}`,
        substituted: sumText(
          parts.map(([, v]) => v),
          'J',
        ),
        parts: parts
          .sort((a, b) => b[1] - a[1])
          .map(([part]) => energyPart(`${prefix}energy_by_part_J.${part}`, part, sim, fields)),
      };
    }
    case 'energy_by_part_J':
      if (store === undefined) return figure('energy_J', sim, context, prefix);
      return Object.hasOwn(sim.energy_by_part_J, store) ? energyPart(name, store, sim, fields) : undefined;
    case 'power_W':
      return {
        metric: name,
        value: sim.power_W,
        unit: 'W',
        formula: 'energy_J ÷ time_s',
        substituted: `${quantity(sim.energy_J, 'J')} ÷ ${quantity(sim.time_s, 's')}`,
        ...(sim.clock_Hz === undefined
          ? {}
          : { note: `at a clock of ${quantity(sim.clock_Hz, 'Hz')}, the highest the power cap allows` }),
        parts: section(fields, 'power'),
      };
    case 'roof_fraction': {
      const bound = sim.bound_s ?? sim.roof_fraction * sim.time_s;
      return {
        metric: name,
        value: sim.roof_fraction,
        unit: '%',
        formula: 'bound_s ÷ time_s',
        substituted: `${quantity(bound, 's')} ÷ ${quantity(sim.time_s, 's')}`,
        note: 'bound_s is the time no schedule can beat: the largest of demand ÷ capacity over the resources, plus a launch',
        parts: [],
      };
    }
    case 'bound_by':
      return boundBy(name, sim);
    case 'flops':
    case 'flops_executed':
      return sim.ops
        ? sumOverOps(name, 'FLOP', sim.ops, sim[head], (o) => o[head], head)
        : leaf(name, sim[head], 'FLOP', {
            note:
              head === 'flops'
                ? 'useful work of the op: products and sums count one each, causal halves once'
                : 'with padding, masked and repeated work',
          });
    case 'requested_B':
    case 'moved_B': {
      const note =
        head === 'requested_B'
          ? 'bytes at explicit copies, gathers and scatters'
          : 'bytes after sectors, caches and overfetch';
      if (store === undefined)
        return {
          metric: name,
          unit: 'B',
          note: `${note}; per store, both directions`,
          parts: Object.keys(sim[head]).map((s) => leaf(`${name}.${s}`, sim[head][s]!, 'B')),
        };
      const value = sim[head][store];
      if (value === undefined) return undefined;
      if (!sim.ops) return leaf(name, value, 'B', { note });
      return { ...sumOverOps(name, 'B', sim.ops, value, (o) => o[head][store] ?? 0, metric), note };
    }
    case 'produces':
      return produced(name, store, simulation);
    default:
      return undefined;
  }
}

/** "moved_B.dram" → ["moved_B", "dram"] */
function divide(metric: string): [string, string | undefined] {
  const dot = metric.indexOf('.');
  return dot < 0 ? [metric, undefined] : [metric.slice(0, dot), metric.slice(dot + 1)];
}

function leaf(metric: string, value: number | string, unit: string, more: Partial<Explanation> = {}): Explanation {
  return { metric, value, unit, parts: [], ...more };
}

function sumOverOps(
  metric: string,
  unit: string,
  ops: readonly SimulationOp[],
  total: number,
  of: (op: SimulationOp) => number,
  name: string,
): Explanation {
  const parts = ops.map((o) => ({ o, value: of(o) * o.repeat })).sort((a, b) => b.value - a.value);
  const shown = parts.slice(0, MOST_PARTS).filter((p) => p.value > 0);
  const rest = parts.slice(shown.length);
  const others = rest.reduce((sum, p) => sum + p.value, 0);
  return {
    metric,
    value: total,
    unit,
    formula: `Σ over ops: repeat × ${name}`,
    substituted: sumText([...shown.map((p) => p.value), ...(others > 0 ? [others] : [])], unit),
    parts: [
      ...shown.map(({ o, value }) =>
        leaf(`ops.${o.name}.${name}`, value, unit, {
          substituted: `${quantity(o.repeat, '')} × ${quantity(of(o), unit)}`,
          note: `${percent(value / total)} of the total, bound by ${resourceInWords(o.bound_by)}`,
        }),
      ),
      ...(others > 0 ? [leaf(`${rest.length} other ops`, others, unit)] : []),
    ],
  };
}

/** Busy times beside the time: the busiest resource, or latency between them, sets the pace. */
function kernelTime(metric: string, sim: Subject, fields: ReadonlyMap<string, Sourced>): Explanation {
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

function busyTime(resource: string, time_s: number, sim: Subject, fields: ReadonlyMap<string, Sourced>): Explanation {
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

function energyPart(metric: string, part: string, sim: Subject, fields: ReadonlyMap<string, Sourced>): Explanation {
  const energy = sim.energy_by_part_J[part]!;
  const share = `${percent(energy / sim.energy_J)} of the energy`;
  if (part === 'static')
    return leaf(metric, energy, 'J', {
      formula: 'static power × time_s',
      substituted: `${quantity(energy / sim.time_s, 'W')} × ${quantity(sim.time_s, 's')}`,
      note: share,
      parts: section(fields, 'power'),
    });
  const tables = [...fields]
    .filter(
      ([path, f]) =>
        f.unit.startsWith('pJ') && path.split('.').some((name) => name === part || name.startsWith(`${part}_`)),
    )
    .map(([path, f]) => sourced(path, f));
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
      note: `${share}; at most ${quantity(sim.flops_executed / 2, '')} of them, ${quantity((energy / (sim.flops_executed / 2)) * 1e12, 'pJ')} each or more`,
      parts: section(fields, 'energy.mac'),
    });
  return leaf(metric, energy, 'J', {
    formula: 'Σ actions × energy per action',
    note: share,
    parts: part === 'vector' ? section(fields, 'energy.op') : tables,
  });
}

function boundBy(metric: string, sim: Subject): Explanation {
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

function produced(metric: string, what: string | undefined, sim: SimulationJson): Explanation | undefined {
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

function field(metric: string, fields: ReadonlyMap<string, Sourced>): Explanation {
  const path = metric === 'machine' ? '' : metric.slice('machine.'.length);
  const exact = fields.get(path);
  if (exact) return sourced(path, exact);
  const parts = path === '' ? [...fields].map(([p, f]) => sourced(p, f)) : section(fields, path);
  if (parts.length === 0)
    throw unknownName(
      'metric',
      metric,
      [...fields.keys()].map((p) => `machine.${p}`),
    );
  return { metric, unit: '', parts };
}

function section(fields: ReadonlyMap<string, Sourced>, path: string): Explanation[] {
  return [...fields].filter(([p]) => p === path || p.startsWith(`${path}.`)).map(([p, f]) => sourced(p, f));
}

function sourced(path: string, f: Sourced): Explanation {
  return {
    metric: `machine.${path}`,
    value: f.value,
    unit: f.unit,
    text: f.text,
    from: f.from,
    source: f.source,
    parts: [],
  };
}

function sumText(values: readonly number[], unit: string): string {
  return values.map((v) => quantity(v, unit)).join(' + ');
}

/** The tree as indented lines for a terminal. */
export function explainText(explanation: Explanation, dim: (text: string) => string = (t) => t): string {
  const lines: string[] = [];
  const write = (e: Explanation, depth: number) => {
    const pad = '  '.repeat(depth);
    const value =
      e.value === undefined ? '' : ` = ${typeof e.value === 'number' ? quantity(e.value, e.unit, 4) : e.value}`;
    lines.push(`${pad}${printable(e.metric)}${value}`);
    const more = `${pad}    `;
    if (e.formula) lines.push(dim(`${more}= ${e.formula}`));
    if (e.substituted) lines.push(dim(`${more}= ${e.substituted}`));
    if (e.note) lines.push(dim(`${more}${printable(e.note)}`));
    // the file's own words, unless they only repeat the value
    const says = e.text && /[A-Za-z]/.test(e.text) ? `${printable(e.text)}; ` : '';
    if (e.from) lines.push(dim(`${more}${says}${e.from}: ${printable(e.source ?? '')}`));
    for (const part of e.parts) write(part, depth + 1);
  };
  write(explanation, 0);
  return lines.join('\n');
}
