/** Bytes that stores move for einsums together: as they are asked for, and in whole accesses. */
import { bytesOf } from '../../base/dtype.js';
import type { Cascade } from '../../kernel/einsum.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { NestAnalysis } from './types.js';

export interface Moved {
  read_B: number;
  write_B: number;
  /** In whole sectors. */
  moved_read_B: number;
  moved_write_B: number;
  /** Instances in use. */
  instances: number;
  /** Read and written, by tensor. */
  readonly tensors_B: Map<string, number>;
}

/** By store id, in the machine's order; all instances together. */
export function trafficOf(
  einsums: readonly NestAnalysis[],
  cascade: Cascade,
  graph: ResourceGraph,
): Map<string, Moved> {
  const found = new Map<string, Moved>();
  for (const store of graph.stores)
    for (const a of einsums)
      for (const s of a.stores) {
        if (s.store !== store.id) continue;
        const m = found.get(store.id) ?? nothing();
        found.set(store.id, m);
        m.instances = Math.max(m.instances, s.instances);
        for (const t of s.tensors) {
          const word_B = store.word_B ?? bytesOf(cascade.tensors.find((x) => x.name === t.tensor)!.dtype);
          const n = t.instances * word_B;
          const whole = (words: number) =>
            t.instances * Math.ceil((words * word_B) / store.sector_B - 1e-9) * store.sector_B;
          const [reads, fills, updates] = t.sparse
            ? [t.sparse.reads.actual, t.sparse.fills.actual, t.sparse.updates.actual]
            : [t.reads, t.fills, t.updates];
          m.tensors_B.set(t.tensor, (m.tensors_B.get(t.tensor) ?? 0) + (reads + fills + updates) * n);
          m.read_B += reads * n;
          m.write_B += (fills + updates) * n;
          m.moved_read_B += whole(reads);
          m.moved_write_B += whole(fills) + whole(updates);
        }
      }
  return found;
}

const nothing = (): Moved => ({
  read_B: 0,
  write_B: 0,
  moved_read_B: 0,
  moved_write_B: 0,
  instances: 1,
  tensors_B: new Map(),
});
