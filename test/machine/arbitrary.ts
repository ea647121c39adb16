/** Random machines for property tests: shipped ones with cores, clock, bandwidths and capacities scaled. */
import fc from 'fast-check';
import { openMachine } from '../../src/cli/files.js';
import type { Link, ResourceGraph, Store } from '../../src/machine/graph.js';

/** What is multiplied; 1 leaves the machine as it is. */
export interface Scale {
  readonly cores: number;
  readonly clock: number;
  readonly dram: number;
  readonly l2: number;
  readonly near: number;
  readonly capacity: number;
}
export const SAME: Scale = { cores: 1, clock: 1, dram: 1, l2: 1, near: 1, capacity: 1 };

const bases = await Promise.all(
  ['a100-sxm-80gb', 'h100-sxm', 'l40s', 'b200-sxm', 't4', 'v100-pcie-32gb'].map(
    async (n) => (await openMachine(n)).graph,
  ),
);

/** Bandwidth factor of a store or link end by its id. */
function factorOf(id: string, s: Scale): number {
  return id === 'dram' ? s.dram : id === 'l2' ? s.l2 : id === 'l1' || id === 'shared' || id === 'register' ? s.near : 1;
}

/** A graph with its rates scaled. Clocked rates and latencies follow the clock; their per-cycle figures stay. */
export function scaled(graph: ResourceGraph, s: Scale): ResourceGraph {
  const store = (x: Store): Store => {
    const f = factorOf(x.id, s) * (x.clocked ? s.clock : 1);
    return {
      ...x,
      read_B_per_s: x.read_B_per_s * f,
      write_B_per_s: x.write_B_per_s * f,
      latency_s: x.clocked ? x.latency_s / s.clock : x.latency_s,
      ...(x.far && { far: { ...x.far, extra_latency_s: x.far.extra_latency_s / s.clock } }),
      ...(x.id === 'l2' && { capacity_B: Math.round(x.capacity_B * s.capacity) }),
    };
  };
  const link = (x: Link): Link => ({
    ...x,
    B_per_s: x.B_per_s * factorOf(x.from, s) * (x.clocked ? s.clock : 1),
  });
  const { clock } = graph.control;
  return {
    ...graph,
    stores: graph.stores.map(store),
    links: graph.links.map(link),
    cores: { ...graph.cores, count: Math.max(1, Math.round(graph.cores.count * s.cores)) },
    control: {
      ...graph.control,
      clock: { ...clock, nominal_Hz: clock.nominal_Hz * s.clock, min_Hz: clock.min_Hz * s.clock },
    },
  };
}

const factor = () => fc.double({ min: 0.25, max: 4, noNaN: true });

/** A valid resource graph; shrinks towards a shipped machine. */
export function arbitraryGraph(): fc.Arbitrary<ResourceGraph> {
  const scale = fc.record({
    cores: factor(),
    clock: fc.double({ min: 0.5, max: 2, noNaN: true }),
    dram: factor(),
    l2: factor(),
    near: fc.double({ min: 0.5, max: 2, noNaN: true }),
    capacity: factor(),
  });
  return fc.tuple(fc.constantFrom(...bases), fc.oneof(fc.constant(SAME), scale)).map(([g, s]) => scaled(g, s));
}
