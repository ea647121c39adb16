/**
 * How a number came about: its formula, the values put in, and where those come from, down to fields of the machine
 * with their sources. Pure; the result is a tree that the command line prints and JSON holds.
 */
import { unknownName } from '../base/errors.js';
import { unitsOf, utilisation } from './explain-arrays.js';
import { type Explanation, type Fields, leaf, section, sourced, sumOverOps, sumText } from './explain-node.js';
import { boundBy, energyPart, kernelTime, produced, type Subject } from './explain-run.js';
import { quantity } from './format.js';
import type { SimulationJson } from './simulation.js';

export interface ExplainContext {
  readonly simulation: SimulationJson;
  /** Every number of the machine's description by path. */
  readonly fields: Fields;
  /** Every number of measured frameworks' kernels by path. */
  readonly kernels?: Fields;
}

/**
 * Explains `metric`: a figure of the result (time_s, energy_J, moved_B.dram, …), of an op (ops.NAME.time_s) or a field
 * of the machine (machine.dram.bandwidth; a section explains all its fields).
 * @throws InputError for a metric there is not, with the nearest there is.
 */
export function explain(metric: string, context: ExplainContext): Explanation {
  if (metric === 'machine' || metric.startsWith('machine.')) return field(metric, context.fields, 'machine');
  if (context.kernels && (metric === 'kernels' || metric.startsWith('kernels.')))
    return field(metric, context.kernels, 'kernels');
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
    ...utilisationsOf(sim),
    ...(sim.produces ? ['produces.per_s', 'produces.energy_J_each'] : []),
  ];
  const ops = new Map((sim.ops ?? []).map((o) => [o.name, o]));
  return [
    ...own,
    ...[...ops].flatMap(([name, o]) =>
      [...plain, ...utilisationsOf({ ...o, ops: undefined })].map((m) => `ops.${name}.${m}`),
    ),
    ...[...fields.keys()].map((path) => `machine.${path}`),
  ];
}

const utilisationsOf = (sim: Subject): string[] => {
  const units = unitsOf(sim);
  return units.length > 0 ? ['utilisation', ...units.map((u) => `utilisation.${u}`)] : [];
};

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
        note: 'energies of parts that run from the core clock go with the square of the voltage at the clock that is run',
        parts: parts
          .sort((a, b) => b[1] - a[1])
          .map(([part]) => energyPart(`${prefix}energy_by_part_J.${part}`, part, sim, fields)),
      };
    }
    case 'energy_by_part_J':
      if (store === undefined) return { ...figure('energy_J', sim, context, prefix)!, metric: name };
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
        parts: section(fields, 'tdp'),
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
    case 'utilisation':
      return utilisation(name, store, sim);
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
      if (!Object.hasOwn(sim[head], store)) return undefined;
      const value = sim[head][store]!;
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

function field(metric: string, fields: Fields, root: string): Explanation {
  const path = metric === root ? '' : metric.slice(root.length + 1);
  const exact = fields.get(path);
  if (exact) return sourced(path, exact, root);
  const parts = path === '' ? [...fields].map(([p, f]) => sourced(p, f, root)) : section(fields, path, root);
  if (parts.length === 0)
    throw unknownName(
      'metric',
      metric,
      [...fields.keys()].map((p) => `${root}.${p}`),
    );
  return { metric, unit: '', parts };
}
