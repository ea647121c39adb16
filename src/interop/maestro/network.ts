/**
 * MAESTRO's description of a network: layers with their sizes, each with its mapping in the data-centric notation
 * (Kwon et al., MICRO 2019): TemporalMap and SpatialMap(size, offset) DIM, and Cluster(size, P) between levels.
 */
import { InputError, unknownName } from '../../base/errors.js';

export const LAYER_TYPES = ['CONV', 'DSCONV', 'GEMM'] as const;
export type LayerType = (typeof LAYER_TYPES)[number];

export interface Directive {
  readonly kind: 'temporal' | 'spatial';
  readonly dim: string;
  /** Indices that one place holds, and how far the next one's begin from them. */
  readonly size: number;
  readonly offset: number;
}

export interface MaestroLayer {
  readonly name: string;
  readonly type: LayerType;
  /** FILE:LINE */
  readonly place: string;
  readonly dims: ReadonlyMap<string, number>;
  readonly stride: ReadonlyMap<string, number>;
  /** Outermost level first. */
  readonly levels: readonly (readonly Directive[])[];
  /** Of each level but the outermost: how many of it make up one of the level above. */
  readonly clusters: readonly number[];
}

export interface MaestroNetwork {
  readonly name: string;
  readonly layers: readonly MaestroLayer[];
  readonly warnings: readonly string[];
}

const DIMS: Readonly<Record<LayerType, readonly string[]>> = {
  CONV: ['N', 'K', 'C', 'R', 'S', 'Y', 'X'],
  DSCONV: ['N', 'K', 'C', 'R', 'S', 'Y', 'X'],
  GEMM: ['M', 'N', 'K'],
};
const REQUIRED: Readonly<Record<LayerType, readonly string[]>> = {
  CONV: ['K', 'C', 'R', 'S', 'Y', 'X'],
  DSCONV: ['C', 'R', 'S', 'Y', 'X'],
  GEMM: ['M', 'N', 'K'],
};
const OUTPUTS: Readonly<Record<string, string>> = { "Y'": 'Y', "X'": 'X' };

export const isMaestro = (text: string): boolean => /^\s*Network\b/m.test(text) && /\bLayer\b/.test(text);

interface Token {
  readonly text: string;
  readonly line: number;
}

/** Words and braces; all other punctuation only separates them. */
export function tokensOf(text: string): Token[] {
  return text.split('\n').flatMap((line, i) => {
    const words = line.replace(/\/\/.*/, '').match(/[{}]|[^\s,():;{}]+/g) ?? [];
    return words.map((word) => ({ text: word, line: i + 1 }));
  });
}

/** @throws InputError with FILE:LINE */
export function parseMaestro(text: string, file: string): MaestroNetwork {
  const tokens = tokensOf(text);
  const constants = new Map<string, number>();
  const layers: MaestroLayer[] = [];
  const warnings: string[] = [];
  let name = '';
  let at = 0;
  let inherited: Pick<MaestroLayer, 'levels' | 'clusters'> | undefined;
  while (at < tokens.length) {
    const token = next('Network');
    if (token.text === 'Constant') {
      const constant = next('a name').text;
      constants.set(constant, size(`constant ${constant}`));
    } else if (token.text === 'Network') network();
    else if (token.text === 'Accelerator') {
      warnings.push(`${file}:${token.line}: the Accelerator block is not read; the hardware file has its figures`);
      skipBlock();
    } else throw unknownName('statement', token.text, ['Network', 'Constant', 'Accelerator'], place(token));
  }
  if (layers.length === 0) throw new InputError('it holds no layer', file);
  return { name, layers, warnings };

  function place(token: Token | undefined): string {
    return `${file}:${(token ?? tokens[tokens.length - 1])?.line ?? 1}`;
  }
  function next(expected: string): Token {
    const token = tokens[at++];
    if (!token) throw new InputError(`ends where ${expected} was expected`, place(undefined));
    return token;
  }
  function expect(text: string): void {
    const token = next(`'${text}'`);
    if (token.text !== text) throw new InputError(`'${token.text}' where '${text}' was expected`, place(token));
  }
  function size(what: string): number {
    const token = next(`the size of ${what}`);
    const n = constants.get(token.text) ?? Number(token.text);
    if (!Number.isSafeInteger(n) || n < 1)
      throw new InputError(`${what} is '${token.text}': expected a whole number ≥ 1`, place(token));
    return n;
  }
  function skipBlock(): void {
    expect('{');
    for (let depth = 1; depth > 0; ) {
      const { text: word } = next("'}'");
      depth += word === '{' ? 1 : word === '}' ? -1 : 0;
    }
  }
  function network(): void {
    let token = next('the name of the network');
    if (token.text !== '{') {
      name = token.text;
      expect('{');
    }
    for (token = next('Layer'); token.text !== '}'; token = next('Layer')) {
      if (token.text !== 'Layer') throw unknownName('statement', token.text, ['Layer', '}'], place(token));
      layer(token);
    }
  }
  function layer(start: Token): void {
    const layerName = next('the name of the layer').text;
    expect('{');
    let type: LayerType | undefined;
    let dims = new Map<string, number>();
    let stride = new Map<string, number>();
    let flow: typeof inherited;
    for (let token = next("'}'"); token.text !== '}'; token = next("'}'")) {
      if (token.text === 'Type') type = layerType();
      else if (token.text === 'Stride') stride = sizes('stride');
      else if (token.text === 'Dimensions') dims = sizes('dimension');
      else if (token.text === 'Dataflow') flow = dataflow(dims);
      else throw unknownName('part of a layer', token.text, ['Type', 'Stride', 'Dimensions', 'Dataflow'], place(token));
    }
    const where = place(start);
    if (!type) throw new InputError(`layer ${layerName} has no Type`, where);
    flow ??= inherited;
    if (!flow) throw new InputError(`layer ${layerName} has no Dataflow`, where);
    inherited = flow;
    const made = { name: layerName, type, place: where, dims: asInputs(dims), stride: asRows(stride), ...flow };
    check(made);
    layers.push(made);
  }
  function layerType(): LayerType {
    const token = next('the type of the layer');
    const type = LAYER_TYPES.find((t) => t === token.text);
    if (!type) throw unknownName('layer type', token.text, LAYER_TYPES, place(token));
    return type;
  }
  function sizes(what: string): Map<string, number> {
    const found = new Map<string, number>();
    expect('{');
    for (let token = next("'}'"); token.text !== '}'; token = next("'}'")) {
      if (found.has(token.text)) throw new InputError(`${what} ${token.text} is given twice`, place(token));
      found.set(token.text, size(`${what} ${token.text}`));
    }
    return found;
  }
  function dataflow(dims: ReadonlyMap<string, number>): NonNullable<typeof inherited> {
    const levels: Directive[][] = [[]];
    const clusters: number[] = [];
    // a number, a constant, or Sz(DIM)
    const extent = (what: string): number => {
      if (tokens[at]?.text !== 'Sz') return size(what);
      at++;
      const token = next('a dimension');
      const n = dims.get(token.text);
      if (n === undefined) throw unknownName('dimension', token.text, [...dims.keys()], place(token));
      return n;
    };
    expect('{');
    for (let token = next("'}'"); token.text !== '}'; token = next("'}'")) {
      if (token.text === 'Cluster') {
        clusters.push(extent('the cluster'));
        levels.push([]);
        next('the kind of the cluster');
      } else if (token.text === 'TemporalMap' || token.text === 'SpatialMap') {
        const map = { size: extent('the mapping size'), offset: extent('the offset') };
        const on = next('a dimension');
        const level = levels[levels.length - 1]!;
        const known = [...dims.keys(), ...Object.keys(OUTPUTS)];
        if (!known.includes(on.text)) throw unknownName('dimension', on.text, known, place(on));
        const rows = (d: string): string => OUTPUTS[d] ?? d;
        if (level.some((d) => rows(d.dim) === rows(on.text)))
          throw new InputError(`${on.text} is mapped twice at one level`, place(on));
        level.push({ kind: token.text === 'SpatialMap' ? 'spatial' : 'temporal', dim: on.text, ...map });
      } else throw unknownName('directive', token.text, ['TemporalMap', 'SpatialMap', 'Cluster'], place(token));
    }
    return { levels, clusters };
  }
}

/** Y' and X' count outputs: the input rows and columns they need without a stride, as the tool reads them. */
function asInputs(dims: ReadonlyMap<string, number>): Map<string, number> {
  const window: Readonly<Record<string, string>> = { "Y'": 'R', "X'": 'S' };
  return new Map(
    [...dims].map(([dim, n]) => (OUTPUTS[dim] ? [OUTPUTS[dim], n + (dims.get(window[dim]!) ?? 1) - 1] : [dim, n])),
  );
}

const asRows = (stride: ReadonlyMap<string, number>) =>
  new Map([...stride].map(([dim, n]) => [OUTPUTS[dim] ?? dim, n]));

function check({ name, type, place, dims, levels, stride }: MaestroLayer): void {
  for (const dim of dims.keys())
    if (!DIMS[type].includes(dim)) throw unknownName(`dimension of ${type} layer ${name}:`, dim, DIMS[type], place);
  for (const dim of REQUIRED[type])
    if (!dims.has(dim)) throw new InputError(`layer ${name} has no dimension ${dim}; ${type} needs it`, place);
  for (const dim of stride.keys())
    if (dim !== 'Y' && dim !== 'X') throw unknownName(`stride of layer ${name}:`, dim, ['Y', 'X'], place);
  for (const [rows, window] of type === 'GEMM' ? [] : [['Y', 'R'] as const, ['X', 'S'] as const])
    if (dims.get(rows)! < dims.get(window)!)
      throw new InputError(
        `layer ${name}: ${window} ${dims.get(window)} is larger than ${rows} ${dims.get(rows)}`,
        place,
      );
  levels.forEach((level, i) => {
    if (!level.some((d) => d.kind === 'spatial'))
      throw new InputError(`layer ${name}: level ${i} (0 is the outermost) has no SpatialMap`, place);
  });
}
