/**
 * A nest as pseudo-code: each level with the tiles it keeps (words), then its loops.
 *
 *   dram [ A:4096 B:4096 Z:4096 ]
 *   | for M in [0:8)
 *   |   across x: for K in [0:16)
 */
import type { ResourceGraph } from '../machine/graph.js';
import { untilText } from './cascade-print.js';
import type { Access, Cascade } from './einsum.js';
import type { EinsumNest, Nest, NestLevel, NestLoop } from './nest.js';

export function nestText(nest: Nest, cascade: Cascade, graph: ResourceGraph): string {
  const several =
    nest.stages.length > 1 || nest.shared.some((l) => l.loops.length > 0) || nest.stages[0]!.nests.length > 1;
  const out: string[] = [];
  let depth = 0;
  if (cascade.until) out.push(`(${untilText(cascade.until, cascade)})`);
  for (const { level, loops, keeps } of nest.shared) {
    out.push(`shared: ${level} [ ${Object.keys(keeps).join(' ')} ]`);
    for (const loop of loops) out.push(`| ${'  '.repeat(depth++)}${loopText(loop)}`);
  }
  nest.stages.forEach(({ nests }, s) => {
    if (several) out.push(`stage ${s + 1}`);
    for (const n of nests) {
      if (several) out.push(`einsum ${n.einsum} on ${n.unit}`);
      for (const [tensor, share] of Object.entries(n.waits ?? {}))
        out.push(`(no room for ${+(100 * share).toPrecision(3)} % of ${tensor}: it waits in the home store)`);
      out.push(...einsumText(n, nest.shared, cascade, graph, depth));
    }
  });
  return out.join('\n');
}

const loopText = ({ rank, size, spatial }: NestLoop): string =>
  `${spatial ? `across ${spatial}: ` : ''}for ${rank} in [0:${size})`;

function einsumText(
  nest: EinsumNest,
  shared: readonly NestLevel[],
  cascade: Cascade,
  graph: ResourceGraph,
  start: number,
): string[] {
  const einsum = cascade.einsums.find((e) => e.name === nest.einsum);
  const array = graph.arrays?.find((a) => a.unit === nest.unit);
  if (!einsum || !array) return [];
  const out: string[] = [];
  let depth = start;
  array.levels.forEach(({ id }, l) => {
    const here = [...shared, ...nest.levels].filter((x) => x.level === id);
    const kept = [...einsum.ins, einsum.out].flatMap((access) => {
      const store = here.map((x) => x.keeps[access.tensor]).find((s) => s !== undefined);
      if (store === undefined) return [];
      const words = tileWords(
        access,
        extentsAt(
          nest,
          shared,
          array.levels.slice(l).map((x) => x.id),
        ),
        cascade,
      );
      return [`${access.tensor}:${words}${store === id ? '' : `@${store}`}`];
    });
    const loops = nest.levels.filter((x) => x.level === id).flatMap((x) => x.loops);
    const ordered = [...loops.filter((x) => !x.spatial), ...loops.filter((x) => x.spatial)].filter((x) => x.size > 1);
    if (kept.length === 0 && ordered.length === 0) return;
    out.push(`${id} [ ${kept.join(' ')} ]`);
    for (const loop of ordered) out.push(`| ${'  '.repeat(depth++)}${loopText(loop)}`);
  });
  out.push(`| ${'  '.repeat(depth)}<< ${nest.einsum} >>`);
  return out;
}

/** Extent of each rank over the loops of these levels. */
function extentsAt(nest: EinsumNest, shared: readonly NestLevel[], levels: readonly string[]): Map<string, number> {
  const extents = new Map<string, number>();
  for (const { level, loops } of [...shared, ...nest.levels])
    if (levels.includes(level)) for (const { rank, size } of loops) extents.set(rank, (extents.get(rank) ?? 1) * size);
  return extents;
}

function tileWords({ at }: Access, extents: ReadonlyMap<string, number>, { ranks }: Cascade): number {
  return at.reduce(
    (words, { terms }) =>
      words *
      terms.reduce(
        (side, { rank, stride }) => side + Math.abs(stride) * (Math.min(extents.get(rank) ?? 1, ranks[rank] ?? 1) - 1),
        1,
      ),
    1,
  );
}
