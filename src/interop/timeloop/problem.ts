/** Timeloop's problem as a cascade of one einsum: data spaces are tensors, projections their coordinates. */
import { InputError } from '../../base/errors.js';
import type { Access, Cascade, CascadeTensor, Coordinate, Density, Einsum } from '../../kernel/einsum.js';
import { isNode, numberOf, Reader, type Value } from './read.js';

export interface TimeloopProblem {
  readonly cascade: Cascade;
  readonly einsum: Einsum;
}

/** @throws InputError */
export function problemFrom(problem: Reader): TimeloopProblem {
  problem.ignore('version');
  const shape = problem.child('shape') ?? problem;
  shape.ignore('version');
  const name = shape.text(['name'], 'einsum');
  const ranks = shape.list('dimensions').map(String);
  if (ranks.length === 0) throw new InputError('has no dimensions', shape.place);
  const instance = problem.child('instance') ?? problem;
  const coefficients = new Map<string, number>();
  for (const c of shape.children('coefficients')) {
    const key = c.text(['name'], '');
    coefficients.set(key, instance.number([key], c.number(['default'], 1)));
    c.done();
  }
  const extents = Object.fromEntries(
    ranks.map((rank) => {
      const extent = instance.number([rank], 1);
      if (!Number.isInteger(extent) || extent < 1)
        throw new InputError(`${rank} is ${extent}, expected a whole number from 1`, instance.place);
      return [rank, extent];
    }),
  );
  const densities = (instance.child('densities') ?? instance.child('density'))?.node ?? {};
  const spaces = [...shape.children('data_spaces'), ...(shape.has('data_spaces') ? [] : shape.children('data-spaces'))];
  const tensors: CascadeTensor[] = [];
  const accesses: { access: Access; result: boolean }[] = [];
  for (const space of spaces) {
    const tensor = space.text(['name'], '');
    const result = space.any('read_write', 'read-write') === true;
    const at = space.list('projection').map((dim) => coordinateOf(dim, ranks, coefficients, instance, space.place));
    const inputs = accesses.filter((a) => !a.result).length;
    const density = densityOf(densities[tensor], `${instance.place}.densities.${tensor}`, problem.warnings);
    tensors.push({
      name: tensor,
      dtype: 'int8',
      role: result ? 'output' : inputs === 0 ? 'weight' : 'input',
      home: true,
      ...(density !== undefined && { density }),
    });
    accesses.push({ access: { tensor, at }, result });
    space.done();
  }
  const results = accesses.filter((a) => a.result);
  if (results.length !== 1)
    throw new InputError(`has ${results.length} data spaces with read_write, expected one`, shape.place);
  for (const extra of ['Hpad', 'Wpad', 'Hstride', 'Wstride', 'Hdilation', 'Wdilation', 'H', 'W'])
    instance.ignore(extra);
  instance.ignore('densities', 'version', 'shape', 'instance');
  if (instance !== problem) instance.done();
  if (shape !== problem) shape.done();
  problem.done();
  const out = results[0]!.access;
  const kept = new Set(out.at.flatMap((c) => c.terms.map((t) => t.rank)));
  const einsum: Einsum = {
    name,
    ranks,
    out,
    ins: accesses.filter((a) => !a.result).map((a) => a.access),
    reduce: ranks.every((r) => kept.has(r)) ? 'none' : 'sum',
    work: { fma: 1 },
  };
  // in the order in which they are declared, the result wherever it stands
  return { cascade: { name, ranks: extents, tensors, einsums: [einsum] }, einsum };
}

/** `[[R], [P, Wstride]]`: a sum of products, each of one rank and coefficients. */
function coordinateOf(
  dim: Value,
  ranks: readonly string[],
  coefficients: ReadonlyMap<string, number>,
  instance: Reader,
  place: string,
): Coordinate {
  const products = Array.isArray(dim)
    ? dim.map((p) => (Array.isArray(p) ? p.map(String) : [String(p)]))
    : [[String(dim)]];
  return {
    terms: products.map((factors) => {
      let rank: string | undefined;
      let stride = 1;
      for (const factor of factors) {
        if (ranks.includes(factor)) {
          if (rank !== undefined) throw new InputError(`multiplies ranks ${rank} and ${factor}`, place);
          rank = factor;
          continue;
        }
        const number = coefficients.get(factor) ?? numberOf(factor) ?? numberOf(instance.node[factor] ?? '');
        if (number === undefined)
          throw new InputError(`'${factor}' is neither a dimension (${ranks.join(', ')}) nor a coefficient`, place);
        stride *= number;
      }
      if (rank === undefined) throw new InputError(`the product ${factors.join('·')} has no dimension`, place);
      return { rank, stride };
    }),
  };
}

function densityOf(value: Value | undefined, place: string, warnings: string[]): Density | undefined {
  if (value === undefined || value === null) return undefined;
  const plain = numberOf(value);
  const check = (share: number): void => {
    // a tensor of zeros alone asks for no work at all
    if (!(share > 0 && share <= 1)) throw new InputError(`density is ${share}, expected above 0 and at most 1`, place);
  };
  if (plain !== undefined) check(plain);
  if (plain !== undefined) return plain === 1 ? undefined : { model: 'fixed_structured', share: plain };
  if (!isNode(value)) throw new InputError('is neither a number nor a distribution', place);
  const r = new Reader(value, place, warnings);
  const kind = r.text(['distribution'], 'fixed_structured').replaceAll('-', '_');
  const share = r.number(['density'], 1);
  check(share);
  if (kind !== 'fixed_structured' && kind !== 'hypergeometric')
    throw new InputError(`distribution '${kind}' is not known (known: fixed_structured, hypergeometric)`, place);
  r.ignore('band_width', 'workload_tensor_size');
  r.done();
  return { model: kind, share };
}
