/**
 * Bank conflicts of near storage: successive words lie in successive banks, a bank gives one word a cycle, lanes that
 * want the same word share it. The rule that every engine goes by.
 *
 * A shared tile is taken to be laid out (padded or swizzled) so that no walk of its lanes meets conflicts, unless it
 * declares its layout: `rows`, row after row. Then a copy whose neighbours in memory lie along the tile's rows walks
 * down a column: lane after lane a row further.
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
  const shared = machine.stores.find((s) => s.id === 'shared');
  if (!shared || shared.banks <= 1) return 1;
  const strides = stridesOf(tensor);
  const along = (axis: number) => axis >= 0 && strides[axis] === 1;
  if (along(axes[1]) || !along(axes[0])) return 1;
  const element_B = bytesOf(tile.dtype);
  const lanes = Math.min(machine.cores.lane_group, tile.rows * tile.cols);
  const addresses = Array.from(
    { length: lanes },
    (_, l) => ((l % tile.rows) * tile.cols + Math.floor(l / tile.rows)) * element_B,
  );
  const cycles = bankCycles(addresses, shared.banks, shared.sector_B);
  return Math.max(1, (cycles * shared.banks * shared.sector_B) / (lanes * element_B));
}
