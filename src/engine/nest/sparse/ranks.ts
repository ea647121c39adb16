/** Which loops each rank of a format stands for, and the tiles below its coordinates. */
import { InputError } from '../../../base/errors.js';
import type { Sparsity } from '../../../kernel/sparsity.js';
import type { NestCore } from '../core.js';
import type { Loops } from '../loops.js';
import { COMPRESSES, type RankShape } from './formats.js';

export type FormatSpec = Sparsity['formats'][number];

/** A tensor at a level that keeps it. */
export interface Representation {
  readonly level: number;
  /** The next nearer level that keeps it; L for the arithmetic. */
  readonly child: number;
  readonly tile: number;
  readonly metadata: boolean;
  readonly compressed: boolean;
  /** Innermost first; without metadata one rank for all. */
  readonly ranks: readonly RankShape[];
  /** Tile of the outermost rank. */
  readonly top: number;
  readonly bits: readonly { readonly metadata?: number; readonly payload?: number }[];
}

interface Loop {
  readonly rank: number;
  readonly size: number;
  /** Words of the tile with this loop and all inside it. */
  readonly tile: number;
}

/** Representations of tensor k by level, near to far. @throws InputError when a format has too few ranks */
export function representations(
  loops: Loops,
  core: NestCore,
  k: number,
  specOf: (level: number) => FormatSpec | undefined,
  name: string,
): Representation[] {
  const { L, K, problem } = core;
  const out: Representation[] = [];
  let child = L;
  for (let l = L - 1; l >= 0; l--) {
    if (!loops.keep[l * K + k]) continue;
    const tile = core.tile[l * K + k]!;
    const found = specOf(l);
    // uncompressed ranks alone are no metadata
    const spec = found?.ranks.some((r) => r.format !== 'U') ? found : undefined;
    const below = out.at(-1);
    const compressed = spec?.ranks.some((r) => COMPRESSES[r.format]) ?? false;
    if (!spec) {
      out.push({
        level: l,
        child,
        tile,
        metadata: false,
        compressed: false,
        ranks: [{ format: 'U', fiber: tile, below: 1 }],
        top: tile,
        bits: [],
      });
      child = l;
      continue;
    }
    const held = below && below.tile > 1;
    const tiled = held && compressed;
    const inner = tiled ? below.ranks.length : 0;
    if (inner > spec.ranks.length)
      throw new InputError(
        `${name} has ${spec.ranks.length} ranks, the level inside it ${inner}: tiles cannot be cut from it`,
        `format at level ${problem.array.levels[l]!.id}`,
      );
    const own = loopsBetween(loops, core, k, l, tiled || !held ? child : L);
    const mapped = mapRanks(own, spec, inner, problem.ranks, core, k, name);
    const ranks = tiled ? [...below.ranks, ...mapped.ranks] : mapped.ranks;
    if (tiled && mapped.ranks.length > 0) {
      const first = mapped.ranks[0]!;
      ranks[inner] = { ...first, below: below.top };
      for (let r = 0; r < inner; r++) ranks[r] = { ...ranks[r]!, format: formatOf(spec, r) };
    }
    out.push({
      level: l,
      child,
      tile,
      metadata: true,
      compressed,
      ranks,
      top: mapped.top ?? below?.top ?? tile,
      bits: ranks.map((_, r) => {
        const s = spec.ranks[spec.ranks.length - 1 - r]!;
        return {
          ...(s.metadata_bits !== undefined && { metadata: s.metadata_bits }),
          ...(s.payload_bits !== undefined && { payload: s.payload_bits }),
        };
      }),
    });
    child = l;
  }
  return out;
}

const formatOf = (spec: FormatSpec, r: number) => spec.ranks[spec.ranks.length - 1 - r]!.format;

/** Loops over the tensor's ranks at levels from l to before `end`, outermost first. */
function loopsBetween(loops: Loops, core: NestCore, k: number, l: number, end: number): Loop[] {
  const { relevant } = core.problem.tensors[k]!;
  const out: Loop[] = [];
  const extents = new Array<number>(core.problem.ranks.length + 1).fill(1);
  for (let i = loops.n - 1; i >= 0; i--) {
    extents[loops.rank[i]!]! *= loops.size[i]!;
    const level = loops.level[i]!;
    if (level >= l && level < end && relevant[loops.rank[i]!])
      out.unshift({ rank: loops.rank[i]!, size: loops.size[i]!, tile: boxOf(core, k, extents) });
  }
  return out;
}

/** Words of a tensor's box over extents of ranks. */
export function boxOf(core: NestCore, k: number, extents: readonly number[]): number {
  let words = 1;
  for (const dim of core.problem.tensors[k]!.dims) {
    let side = 1;
    for (const t of dim) side += Math.abs(t.stride) * (extents[t.rank]! - 1);
    words *= side;
  }
  return words;
}

/** Ranks outside the `inner` innermost take the loops from outside in: one each, or all that a rule flattens into one. */
function mapRanks(
  own: readonly Loop[],
  spec: FormatSpec,
  inner: number,
  names: readonly string[],
  core: NestCore,
  k: number,
  name: string,
): { ranks: RankShape[]; top: number | undefined } {
  const found: { format: RankShape['format']; fiber: number; tile: number }[] = [];
  let at = 0;
  const innermost = own.at(-1)?.tile ?? 1;
  for (let r = spec.ranks.length - 1; r >= inner; r--) {
    const rule = spec.ranks[spec.ranks.length - 1 - r]!;
    const loop = own[at];
    if (!loop) {
      found.push({ format: rule.format, fiber: 1, tile: innermost });
      continue;
    }
    const list = rule.flatten?.find((l) => l.includes(names[loop.rank]!));
    if (rule.flatten && rule.flatten.length > 0 && !list) {
      found.push({ format: rule.format, fiber: 1, tile: loop.tile });
      continue;
    }
    const extents = new Array<number>(names.length + 1).fill(1);
    extents[loop.rank]! *= loop.size;
    at++;
    for (; list && at < own.length && list.includes(names[own[at]!.rank]!); at++)
      extents[own[at]!.rank]! *= own[at]!.size;
    found.push({ format: rule.format, fiber: boxOf(core, k, extents), tile: loop.tile });
  }
  if (at < own.length)
    throw new InputError(
      `the format of ${name} has ${spec.ranks.length} ranks, the loops that it has to hold are more: ${own
        .map((l) => names[l.rank])
        .join(', ')}`,
    );
  found.reverse();
  return {
    ranks: found.map((f, i) => ({ format: f.format, fiber: f.fiber, below: i === 0 ? 1 : found[i - 1]!.tile })),
    top: found.at(-1)?.tile,
  };
}
