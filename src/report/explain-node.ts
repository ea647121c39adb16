/** A node of an explanation, and how such nodes are made and printed. */
import type { Sourced } from '../base/provenance.js';
import { percent, quantity } from './format.js';
import type { SimulationOp } from './simulation.js';
import { printable } from './table.js';
import { resourceInWords } from './words.js';

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

/** Numbers of a machine's description by path. */
export type Fields = ReadonlyMap<string, Sourced>;

/** Parts beyond this are gathered in one. */
const MOST_PARTS = 10;

export function leaf(
  metric: string,
  value: number | string,
  unit: string,
  more: Partial<Explanation> = {},
): Explanation {
  return { metric, value, unit, parts: [], ...more };
}

export function section(fields: Fields, path: string, root = 'machine'): Explanation[] {
  return [...fields].filter(([p]) => p === path || p.startsWith(`${path}.`)).map(([p, f]) => sourced(p, f, root));
}

export function sourced(path: string, f: Sourced, root = 'machine'): Explanation {
  return {
    metric: `${root}.${path}`,
    value: f.value,
    unit: f.unit,
    text: f.text,
    from: f.from,
    source: f.source,
    parts: [],
  };
}

export function sumOverOps(
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

export function sumText(values: readonly number[], unit: string): string {
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
