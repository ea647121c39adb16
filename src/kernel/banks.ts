/**
 * Bank conflicts of near storage: successive words lie in successive banks, a bank gives one word a cycle, lanes that
 * want the same word share it. The rule that every engine goes by.
 *
 * A shared tile is taken to be laid out (padded or swizzled) so that no walk of its lanes meets conflicts, unless it
 * declares its layout: `rows`, row after row. Then a copy whose neighbours in memory lie along the tile's rows walks
 * down a column: lane after lane a row further. And lanes that take a part of it, row after row of the part, go by its steps.
 */
import { bytesOf } from '../base/dtype.js';
import type { ResourceGraph } from '../machine/graph.js';
import { stridesOf, type Tile, type View } from './ir.js';

/** Cycles that the banks take for one access of lanes at these byte addresses. */
export function bankCycles(addresses: readonly number[], banks: number, word_B: number): number {
  const wanted = new Map<number, Set<number>>();
  let most = 0;
  for (const address of addresses) {
    const word = Math.floor(address / word_B);
    const bank = word % banks;
    let words = wanted.get(bank);
    if (!words) wanted.set(bank, (words = new Set()));
    words.add(word);
    most = Math.max(most, words.size);
  }
  return most;
}

/** How many times longer the shared port takes for a copy between `view` and `tile` than its bytes alone would. */
export function portFactor({ tensor, axes }: View, tile: Tile, machine: ResourceGraph): number {
  if (tile.layout !== 'rows' || tile.level !== 'shared') return 1;
  const strides = stridesOf(tensor);
  const along = (axis: number) => axis >= 0 && strides[axis] === 1;
  if (along(axes[1]) || !along(axes[0])) return 1;
  const { banks, word_B } = banksOf(machine);
  if (banks <= 1) return 1;
  const { rows, cols } = tile;
  const walk = accesses(tile, machine, (l) => (l % rows) * cols + Math.floor(l / rows));
  const bytes = walk.length * bytesOf(tile.dtype);
  return Math.max(1, (bankCycles(walk, banks, word_B) * banks * word_B) / bytes);
}

/** The same of a shared tile that is copied to or from another tile: beside lanes that take neighbours. */
export function moveFactor(tile: Tile, machine: ResourceGraph): number {
  const { part, cols } = tile;
  if (part?.of.layout !== 'rows') return 1;
  const { banks, word_B } = banksOf(machine);
  if (banks <= 1) return 1;
  const { at, strides } = part;
  const walk = accesses(tile, machine, (l) => at + Math.floor(l / cols) * strides[0] + (l % cols) * strides[1]);
  const neighbours = accesses(tile, machine, (l) => l);
  return Math.max(1, bankCycles(walk, banks, word_B) / bankCycles(neighbours, banks, word_B));
}

function banksOf(machine: ResourceGraph): { readonly banks: number; readonly word_B: number } {
  const shared = machine.stores.find((s) => s.id === 'shared');
  return { banks: shared?.banks ?? 1, word_B: shared?.sector_B ?? 1 };
}

/** Byte addresses of what the lanes of a group take at once. */
function accesses({ rows, cols, dtype }: Tile, { cores }: ResourceGraph, place: (lane: number) => number): number[] {
  const lanes = Math.min(cores.lane_group, rows * cols);
  return Array.from({ length: lanes }, (_, l) => place(l) * bytesOf(dtype));
}
