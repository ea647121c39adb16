/**
 * A machine that has only what counting needs: one lane, every product of the op's own formats done from where its
 * operands lie, no limit but the capacity that is asked about. Programs built on it hold no more than the kernel says.
 */
import type { DType } from '../base/dtype.js';
import { bareControl } from '../machine/bare.js';
import { MATH_FNS, type MmaOp, type ResourceGraph } from '../machine/graph.js';
import type { Op } from '../workload/op.js';

/** Operand and accumulator formats of the products that an op is made of. */
function formatsOf(op: Op): { operands: DType[]; accumulators: DType[] } {
  switch (op.kind) {
    case 'matmul':
    case 'grouped_matmul':
    case 'conv2d':
    case 'conv3d':
      return { operands: [op.a, op.b], accumulators: [op.accumulate] };
    case 'attention':
      return { operands: [op.q, op.kv, 'bf16'], accumulators: [op.q === 'fp64' ? 'fp64' : 'fp32'] };
    case 'attention_backward':
      return { operands: [op.dtype], accumulators: [op.dtype === 'fp64' ? 'fp64' : 'fp32'] };
    default:
      return { operands: [], accumulators: [] };
  }
}

/** One machine per set of formats, so that kernels' plans, which are kept by machine, are found again. */
const machines = new Map<string, ResourceGraph>();

export function nearMachine(op: Op): ResourceGraph {
  const { operands, accumulators } = formatsOf(op);
  const key = `${operands}>${accumulators}`;
  let machine = machines.get(key);
  if (!machine) {
    machine = machineOf([...new Set(operands)].flatMap((d) => accumulators.map((acc) => product(d, acc))));
    machines.set(key, machine);
  }
  return machine;
}

const product = (d: DType, acc: DType): MmaOp => ({
  a: d,
  b: d,
  acc,
  macs_per_cycle: 1,
  sparse_2_4: false,
  m: 1,
  n: 1,
  k: 2,
  lanes: 1,
  latency_cycles: 1,
  operands: 'shared',
  accumulator: 'register',
  pJ_per_MAC: 0,
});

function machineOf(mma: readonly MmaOp[]): ResourceGraph {
  const rate = { per_cycle: 1, latency_cycles: 1, pJ: 0, pipe: 'any' };
  const free = Number.MAX_SAFE_INTEGER;
  return {
    name: 'any machine',
    title: 'any machine',
    family: 'counting',
    stores: [],
    links: [],
    units: [{ id: 'unit', mma, math: Object.fromEntries(MATH_FNS.map((fn) => [fn, rate])) }],
    cores: {
      count: 1,
      cluster: 1,
      lane_group: 1,
      issue_groups: 1,
      max_workgroups: 1,
      max_lanes: free,
      max_lanes_per_workgroup: free,
      registers_B: free,
      max_registers_per_lane_B: free,
      register_granule_B: 1,
      shared_B: free,
      shared_per_workgroup_B: free,
      shared_reserved_B: 0,
      issue_per_cycle: 1,
    },
    control: bareControl(1),
    max_peers: 8,
  };
}
