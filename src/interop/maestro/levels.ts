/** The cluster levels of a mapping, complete: every dimension of the operands has a directive at every level. */
import { InputError } from '../../base/errors.js';
import type { Directive, LayerType, MaestroLayer } from './network.js';

/** As the tool counts, or without its slips. */
export type Counting = 'maestro' | 'corrected';

export const OPERANDS = ['input', 'filter', 'output'] as const;
export type Operand = (typeof OPERANDS)[number];

/** A window slides over these: output row = input row − window row. */
export const WINDOW: Readonly<Record<string, string>> = { Y: 'R', X: 'S' };

export interface Level {
  /** Sub-clusters (PEs at the innermost), and how many of them work in the last, incomplete round. */
  readonly places: number;
  readonly edge_places: number;
  readonly directives: readonly Directive[];
  /** The most this level is given to work on. */
  readonly dims: ReadonlyMap<string, number>;
}

export interface LevelsOfLayer {
  readonly levels: readonly Level[];
  readonly operands: Readonly<Record<Operand, readonly string[]>>;
  readonly stride: ReadonlyMap<string, number>;
}

const COUPLED: Readonly<Record<LayerType, Readonly<Record<Operand, readonly string[]>>>> = {
  CONV: { input: ['N', 'C', 'Y', 'X'], filter: ['K', 'C', 'R', 'S'], output: ['N', 'K', 'Y', 'X'] },
  DSCONV: { input: ['N', 'C', 'Y', 'X'], filter: ['C', 'R', 'S'], output: ['N', 'C', 'Y', 'X'] },
  GEMM: { input: ['M', 'K'], filter: ['K', 'N'], output: ['M', 'N'] },
};

/**
 * What a level leaves out it takes over from the level above, one chunk of it after another, or does as a whole.
 * The tool takes Y' and X' as though the stride were 1 and then divides by it; 'corrected' they count outputs, and rows
 * and columns that no window needs are left out.
 * @param pes of the machine; those over that fill no cluster stay idle
 * @throws InputError when a cluster needs more
 */
export function levelsOf(layer: MaestroLayer, pes: number, counting: Counting): LevelsOfLayer {
  const unit = layer.clusters.reduce((product, n) => product * n, 1);
  if (unit > pes)
    throw new InputError(`layer ${layer.name}: its clusters are of ${unit} PEs, the machine has ${pes}`, layer.place);
  const coupled = COUPLED[layer.type];
  const present = (dims: readonly string[]): string[] => dims.filter((d) => layer.dims.has(d));
  const needed = [...new Set([...present(coupled.input), ...present(coupled.filter)])].sort();
  const rule = counting === 'corrected' ? exactRule(layer) : toolRule(layer);
  const levels: Level[] = [];
  let dims = rule.dims;
  layer.levels.forEach((own, depth) => {
    const above = levels[depth - 1]?.directives ?? [];
    const directives = own.map((d) => rule.own(d, chunkOf(own, WINDOW[asRows(d.dim)], dims)));
    for (const d of above) if (!directives.some((o) => o.dim === d.dim)) directives.unshift({ ...d, kind: 'temporal' });
    for (const dim of needed)
      if (!directives.some((o) => o.dim === dim))
        directives.push({ kind: 'temporal', dim, size: dims.get(dim)!, offset: dims.get(dim)! });
    const finished = directives.map((d) => rule.finish(d, depth === 0));
    const places = depth === 0 ? Math.floor(pes / unit) : layer.clusters[depth - 1]!;
    levels.push({ places, edge_places: edgePlaces(finished, dims, places), directives: finished, dims });
    dims = new Map(finished.map((d) => [d.dim, Math.min(d.size, dims.get(d.dim)!)]));
  });
  const operands = {
    input: present(coupled.input),
    filter: present(coupled.filter),
    output: present(coupled.output),
  };
  return { levels, operands, stride: rule.stride };
}

/** How mappings of rows and columns become those of the inputs they need. */
interface Rule {
  readonly dims: ReadonlyMap<string, number>;
  readonly stride: ReadonlyMap<string, number>;
  /** @param window rows (columns) of the window that the same level gives a place */
  own(d: Directive, window: number): Directive;
  finish(d: Directive, top: boolean): Directive;
}

const asRows = (dim: string): string => dim.replace("'", '');

function chunkOf(own: readonly Directive[], dim: string | undefined, dims: ReadonlyMap<string, number>): number {
  return own.find((o) => o.dim === dim)?.size ?? dims.get(dim ?? '') ?? 1;
}

function toolRule({ dims, stride }: MaestroLayer): Rule {
  const own = (d: Directive, window: number): Directive =>
    asRows(d.dim) === d.dim ? d : { ...d, dim: asRows(d.dim), size: d.size + window - 1 };
  const finish = (d: Directive, top: boolean): Directive => {
    const by = stride.get(d.dim) ?? 1;
    const window = dims.get(WINDOW[d.dim] ?? '') ?? 0;
    if (by === 1 || window === 0 || d.size < window) return d;
    const windows = Math.floor((d.size + by - window) / by);
    return {
      ...d,
      size: windows * Math.min(by, window) + Math.max(window - by, 0),
      offset: windows * (!top && window < by ? window : by),
    };
  };
  return { dims, stride, own, finish };
}

function exactRule(layer: MaestroLayer): Rule {
  const dims = new Map(layer.dims);
  const stride = new Map<string, number>();
  for (const [rows, of] of Object.entries(WINDOW)) {
    const window = dims.get(of);
    if (window === undefined) continue;
    const by = layer.stride.get(rows) ?? 1;
    const between = Math.min(by, window);
    stride.set(rows, between);
    dims.set(rows, Math.floor((dims.get(rows)! - window) / by) * between + window);
  }
  const own = (d: Directive, window: number): Directive => {
    const dim = asRows(d.dim);
    const between = stride.get(dim) ?? 1;
    if (dim !== d.dim) return { ...d, dim, size: (d.size - 1) * between + window, offset: d.offset * between };
    const by = layer.stride.get(dim) ?? 1;
    const whole = dims.get(WINDOW[dim] ?? '') ?? 0;
    if (by === 1 || whole === 0 || d.size < whole) return d;
    const windows = Math.floor((d.size - whole) / by) + 1;
    return { ...d, size: (windows - 1) * between + whole, offset: windows * between };
  };
  return { dims, stride, own, finish: (d) => d };
}

/** Places that work in the last, incomplete round; a last one that gets less than a whole chunk after it is left out. */
export function edgePlaces(
  directives: readonly Directive[],
  dims: ReadonlyMap<string, number>,
  places: number,
): number {
  const { dim, size, offset } = directives.find((d) => d.kind === 'spatial')!;
  const n = dims.get(dim)!;
  if (n <= size) return 1;
  if (n > offset * (places - 1) + size) {
    const left = n - Math.floor((Math.floor((n - size) / offset) + 1) / places) * offset * places;
    return left < size ? 1 : Math.floor((left - size) / offset) + 1;
  }
  return Math.ceil((n - size) / offset) + 1;
}
