/** Timeloop's mapping as a nest: given as targets in its input, or as it prints one (`map.txt`). */
import { InputError } from '../../base/errors.js';
import type { Cascade, Einsum } from '../../kernel/einsum.js';
import type { EinsumNest, NestLevel, NestLoop } from '../../kernel/nest.js';
import type { TimeloopMachine } from './architecture.js';
import { levelNamed } from './architecture.js';
import type { Target } from './targets.js';

/** Targets give every factor; a level that says nothing keeps all and loops over nothing. */
export function nestFromTargets(
  targets: readonly Target[],
  cascade: Cascade,
  einsum: Einsum,
  machine: TimeloopMachine,
): EinsumNest {
  const left = Object.fromEntries(
    einsum.ranks.map((rank) => [rank, targets.reduce((n, t) => n / (t.factors[rank] || 1), cascade.ranks[rank]!)]),
  );
  const levels = machine.levels.map(({ name }): NestLevel => {
    const own = targets.filter((t) => t.level === name);
    const loops = (['temporal', 'spatial'] as const).flatMap((type) =>
      own.filter((t) => t.type === type).flatMap((t) => loopsOf(t, einsum, left)),
    );
    const bypassed = new Set(own.flatMap((t) => t.bypass));
    return {
      level: name,
      loops,
      keeps: Object.fromEntries(cascade.tensors.filter((t) => !bypassed.has(t.name)).map((t) => [t.name, name])),
    };
  });
  return { einsum: einsum.name, unit: machine.graph.units[0]!.id, levels };
}

function loopsOf(t: Target, einsum: Einsum, left: Readonly<Record<string, number>>): NestLoop[] {
  const order = [...(t.permutation ?? []), ...einsum.ranks.filter((r) => !t.permutation?.includes(r))];
  return order
    .map((rank, i): NestLoop => {
      const given = t.factors[rank] ?? 1;
      const size = given === 0 ? Math.ceil(left[rank]!) : given;
      return t.type === 'temporal'
        ? { rank, size }
        : { rank, size, spatial: i < (t.split ?? order.length) ? 'x' : 'y' };
    })
    .filter((l) => l.size > 1)
    .reverse();
}

/** Whether a text is a mapping as Timeloop prints it. */
export const isPrintedMap = (text: string): boolean => /<< Compute >>/.test(text);

/**
 * The printed mapping: a line per storage with the data spaces it keeps, then its loops. `[0:4,3)` is a
 * loop whose last trip is short, which the extent of its rank says too.
 * @throws InputError with the line
 */
export function nestFromPrinted(text: string, file: string, einsum: Einsum, machine: TimeloopMachine): EinsumNest {
  const kept = new Map<string, Record<string, string>>();
  const loops = new Map<string, NestLoop[]>();
  let at: string | undefined;
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const place = `${file}:${i + 1}`;
    const head = /^(\S+)\s*\[(.*)\]\s*$/.exec(line);
    if (head) {
      at = levelNamed(head[1]!, machine, place);
      const names = [...head[2]!.matchAll(/([\w-]+):/g)].map((m) => m[1]!);
      kept.set(at, Object.fromEntries(names.map((n) => [n, at!])));
      continue;
    }
    const loop = /^[|\s]*for\s+(\w+)\s+in\s+\[0:(\d+)(?:,\s*(\d+))?\)\s*(?:\(Spatial-([XY])\))?/.exec(line);
    if (loop) {
      if (at === undefined) throw new InputError('a loop before the first level', place);
      const along = loop[4]?.toLowerCase() as 'x' | 'y' | undefined;
      const own = loops.get(at) ?? [];
      loops.set(at, own);
      own.push({ rank: loop[1]!, size: Number(loop[2]), ...(along && { spatial: along }) });
    }
  }
  return {
    einsum: einsum.name,
    unit: machine.graph.units[0]!.id,
    levels: machine.levels.map(({ name }) => ({
      level: name,
      loops: loops.get(name) ?? [],
      keeps: kept.get(name) ?? {},
    })),
  };
}
