/**
 * The bound engine: no schedule of the op can be faster on this machine. The largest of demand ÷ capacity over
 * resources: useful arithmetic at the best rate for its dtypes, exponentials at the special units' rate, and the least
 * I/O at each level at its full bandwidth; plus one launch. Clock nominal, power cap off.
 */

import { bytesOf, type DType } from '../base/dtype.js';
import { positive } from '../base/errors.js';
import { leastIo } from '../bounds/least-io.js';
import { type MathFn, mathRatesOf, type ResourceGraph } from '../machine/graph.js';
import { attentionPairs, compulsoryBytesOf, convWeights, flopsOf, isConvolution, type Op } from '../workload/op.js';
import { energyByPart, totalEnergy } from './energy.js';
import { launchTime } from './launch.js';
import type { Context, RunResult, Traffic } from './types.js';

export function runBound(op: Op, machine: ResourceGraph, context: Context): RunResult {
  const { control, cores } = machine;
  const busy: Record<string, number> = {};
  const units = { matrix_pJ: 0, vector_pJ: 0 };
  const flops = flopsOf(op);
  const best = arithmetic(op, machine);
  if (best && flops > 0) {
    busy[best.part] = flops / best.flop_per_s;
    units[best.part === 'matrix' ? 'matrix_pJ' : 'vector_pJ'] += flops * best.pJ_per_flop;
  }
  const exps = exponentials(op);
  if (exps > 0) {
    const rates = mathRatesOf(machine, 'exp2', 'fp32');
    if (rates.length > 0) {
      const per_cycle = rates.reduce((sum, r) => sum + r.per_cycle, 0);
      busy['special'] = exps / (per_cycle * cores.count * control.clock.nominal_Hz);
      units.vector_pJ += exps * Math.min(...rates.map((r) => r.pJ));
    }
  }

  const moved: Record<string, Traffic> = {};
  const links: Record<string, number> = {};
  const home = machine.stores.find((s) => s.role === 'home')!;
  const cache = machine.stores.find((s) => s.role === 'cache' && s.scope === 'machine');
  const own_B = Math.max(0, ...machine.units.map((u) => u.accumulator_B ?? 0));
  const near_B = nearBytes(machine) + own_B;
  if (op.kind === 'collective') {
    const peer = machine.links.find((l) => l.to === 'peer');
    const bytes =
      op.elements * bytesOf(op.dtype) * (op.collective === 'all_reduce' ? 2 : 1) * ((op.devices - 1) / op.devices);
    if (peer) {
      busy[peer.id] = bytes / peer.B_per_s + peer.latency_s;
      links[peer.id] = bytes;
    }
  } else {
    const { write_B } = compulsoryBytesOf(op);
    const dram = leastIo(op, (cache?.capacity_B ?? 0) + cores.count * near_B);
    const kept = cache ? residentBytes(op, cache.capacity_B, context) : 0;
    // written lines may stay in a write-back cache when the kernel ends
    const lazy = cache ? Math.min(write_B, cache.capacity_B) : 0;
    moved[home.id] = { read_B: Math.max(0, dram.bytes - write_B - kept), write_B };
    busy[home.id] = Math.max(0, dram.bytes - kept - lazy) / home.read_B_per_s;
    if (cache) {
      // cores that one read serves count as one
      const together = cores.multicast ?? 1;
      const { bytes } = leastIo(op, near_B * together, Math.ceil(cores.count / together));
      moved[cache.id] = { read_B: bytes - write_B, write_B };
      busy[cache.id] = bytes / (cache.read_B_per_s + (cache.shared_port ? 0 : cache.write_B_per_s));
    }
  }

  let bound_by = 'launch';
  let longest = 0;
  for (const [name, t] of Object.entries(busy))
    if (t > longest) {
      longest = t;
      bound_by = name;
    }
  const launch_s = launchTime(control, context.launch);
  if (launch_s > longest) bound_by = 'launch';
  const time_s = positive(launch_s + longest, `bound of ${op.name}`);
  const parts = energyByPart(machine, units, moved, links, control.clock.nominal_Hz, time_s);
  const energy_J = totalEnergy(parts);
  return {
    fidelity: 'bound',
    time_s,
    launch_s,
    energy_J,
    energy_by_part_J: parts,
    power_W: energy_J / time_s,
    clock_Hz: control.clock.nominal_Hz,
    flops_executed: flops,
    requested_B: Object.fromEntries(Object.entries(moved).filter(([id]) => id === home.id)),
    moved_B: moved,
    bound_by,
    busy_s: busy,
  };
}

/** The fastest way this machine has to multiply and add the op's operands, in useful FLOP/s. */
function arithmetic(
  op: Op,
  machine: ResourceGraph,
): { flop_per_s: number; pJ_per_flop: number; part: 'matrix' | 'vector' } | undefined {
  const types = operandTypes(op);
  const hz = machine.control.clock.nominal_Hz * machine.cores.count;
  let best: { flop_per_s: number; pJ_per_flop: number; part: 'matrix' | 'vector' } | undefined;
  if (types) {
    for (const unit of machine.units)
      for (const m of unit.mma) {
        // a kernel may convert operands: any instruction at least as narrow as the narrower operand is allowed
        if (bytesOf(m.a) < Math.min(bytesOf(types[0]), bytesOf(types[1]))) continue;
        const flop_per_s = 2 * m.macs_per_cycle * hz;
        if (!best || flop_per_s > best.flop_per_s)
          best = { flop_per_s, pJ_per_flop: m.pJ_per_MAC / 2, part: m.lanes > 1 ? 'matrix' : 'vector' };
      }
    return best;
  }
  // element-wise work: every pipe at once, at the fastest rate there is
  let rate = 0;
  let pJ = 0;
  const seen = new Set<string>();
  for (const fn of [
    'fma',
    'add',
    'mul',
    'max',
    'exp2',
    'int',
    'convert',
    'select',
    'tanh',
    'rcp',
    'sqrt',
    'shuffle',
  ] satisfies MathFn[]) {
    for (const dtype of ['fp16', 'fp32'] satisfies DType[]) {
      for (const found of mathRatesOf(machine, fn, dtype)) {
        if (seen.has(found.pipe)) continue;
        seen.add(found.pipe);
        rate += found.per_cycle;
        pJ = pJ === 0 ? found.pJ : Math.min(pJ, found.pJ);
      }
    }
  }
  return rate > 0 ? { flop_per_s: rate * hz * 2, pJ_per_flop: pJ, part: 'vector' } : undefined;
}

/** What a core can keep, the elements of its arrays included. */
function nearBytes({ arrays, cores, stores }: ResourceGraph): number {
  if (!arrays) return cores.shared_B + cores.registers_B;
  return stores.reduce((sum, s) => sum + (s.role === 'explicit' ? s.capacity_B * (s.instances ?? 1) : 0), 0);
}

function operandTypes(op: Op): [DType, DType] | undefined {
  switch (op.kind) {
    case 'matmul':
    case 'grouped_matmul':
    case 'conv2d':
    case 'conv3d':
      return [op.a, op.b];
    case 'attention':
      return [op.q, op.kv];
    case 'attention_backward':
      return [op.dtype, op.dtype];
    default:
      return undefined;
  }
}

/** Exponentials that cannot be avoided: one per visible score or softmax element. */
function exponentials(op: Op): number {
  if (op.kind === 'attention' || op.kind === 'attention_backward') return attentionPairs(op) * op.heads;
  if (op.kind === 'softmax') return op.rows * op.cols;
  return 0;
}

/** Most input bytes that can still be in the cache when the op starts, each kind of tensor by its reuse distance. */
function residentBytes(op: Op, capacity_B: number, context: Context): number {
  const { read_B } = compulsoryBytesOf(op);
  const b = bytesOf;
  let weight = 0;
  let kv = 0;
  if (op.kind === 'matmul' && op.weights) weight = op.batch * op.k * op.n * b(op.b);
  else if (op.kind === 'grouped_matmul') weight = op.groups * op.k * op.n * b(op.b);
  else if (isConvolution(op)) weight = convWeights(op) * b(op.b);
  else if (op.kind === 'attention') kv = read_B - op.batch * op.q_len * op.heads * op.head_dim * b(op.q);
  else if (op.kind === 'attention_backward') kv = 2 * op.batch * op.kv_len * op.kv_heads * op.head_dim * b(op.dtype);
  else if (op.kind === 'gather') weight = read_B;
  const kept = (bytes: number, distance_B: number): number =>
    Number.isFinite(distance_B) ? Math.min(bytes, Math.max(0, capacity_B - distance_B)) : 0;
  const { reuse_B } = context;
  const rest = read_B - weight - kv;
  return Math.min(
    capacity_B,
    kept(weight, reuse_B.weight) + kept(kv, reuse_B.kv) + kept(rest, Math.min(reuse_B.activation, reuse_B.index)),
  );
}
