/**
 * Collectives as one device sees them: it is device 0 of `devices`, and reads what it needs from its peers' memory
 * (tensors whose home is `peer`) over the links, as the kernels of vLLM, TensorRT-LLM and NCCL's direct paths do.
 * The tensor of `elements` is cut into equal shards, one a device; the last may be short.
 */
import type { ResourceGraph } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import {
  add,
  copy,
  type Expr,
  loop,
  loopVar,
  map,
  mul,
  type Stmt,
  type Tensor,
  type Tile,
  tensor,
  tile,
  view,
} from '../ir.js';
import type { Kernel, Launch } from '../kernel.js';
import { ADD } from '../math.js';
import { ceil, opHead, readShape } from './dims.js';
import { STREAM_PARAMS, type StreamParams, streamCandidates } from './elementwise.js';
import { lacksMath, vectorMapping, workDType } from './lanes.js';

export type Collective = OpOf<'collective'>;
type Kind = Collective['collective'];

const SHAPE = {
  elements: { description: 'elements of the full tensor' },
  devices: { description: 'devices that take part' },
} as const;

const I = loopVar('i');
const P = loopVar('peer');
/** Peers whose data is on its way at once. */
const AHEAD = 4;

export const shardOf = (op: Collective): number => ceil(op.elements, op.devices);

/** Memory of the other devices: [devices − 1, n]. */
const peers = (op: Collective, name: string, n: number): Tensor => ({
  ...tensor(name, op.dtype, [op.devices - 1, n], 'input', 'activation'),
  home: 'peer',
});

/** A stream of n elements, `block` a workgroup. */
interface Stream {
  readonly block: number;
  readonly at: Expr;
  readonly grid: { index: typeof I; extent: number }[];
}
function streamOf(n: number, p: StreamParams, machine: ResourceGraph): Stream {
  const block = p.groups * machine.cores.lane_group * p.per_lane;
  return { block, at: mul(I, block), grid: [{ index: I, extent: ceil(n, block) }] };
}

/** out[0, n) = x[0, n) + Σ peers[:, 0, n) */
function sumLaunch(
  op: Collective,
  p: StreamParams,
  machine: ResourceGraph,
  name: string,
  n: number,
  whole: Tensor,
  out: Tensor,
): Launch {
  const work = workDType(op.dtype);
  const { block, at, grid } = streamOf(n, p, machine);
  const others = peers(op, 'peer_x', n);
  const sum = tile('sum', 'register', work, 1, block);
  const other = tile('other', 'register', work, 1, block, Math.min(AHEAD, op.devices - 1));
  const limit = [undefined, n] as const;
  return {
    program: {
      name: `${name}[${block}]`,
      tensors: [whole, others, out],
      tiles: [sum, other],
      grid,
      body: [
        copy(view(whole, [at], [-1, 0], { limit }), sum),
        loop(P, 0, op.devices - 1, [copy(view(others, [P, at], [-1, 1]), other), map(ADD, [sum, other], sum)]),
        copy(sum, view(out, [at], [-1, 0], { limit })),
      ],
    },
    mapping: vectorMapping(machine, p.groups, 1),
  };
}

/** out = own shard (when given), then the peers' shards in order. */
function collectLaunch(
  op: Collective,
  p: StreamParams,
  machine: ResourceGraph,
  name: string,
  others: Tensor,
  own: Tensor | undefined,
): Launch {
  const shard = shardOf(op);
  const { block, at, grid } = streamOf(shard, p, machine);
  const out = tensor('out', op.dtype, [op.elements], 'output', 'activation');
  const other: Tile = tile('other', 'register', op.dtype, 1, block, Math.min(AHEAD, op.devices - 1));
  const mine: Tile = tile('mine', 'register', op.dtype, 1, block);
  const body: Stmt[] = [];
  if (own)
    body.push(
      copy(view(own, [at], [-1, 0], { limit: [undefined, shard] }), mine),
      copy(mine, view(out, [at], [-1, 0], { limit: [undefined, shard] })),
    );
  const place = mul(add(P, 1), shard);
  body.push(
    loop(P, 0, op.devices - 1, [
      copy(view(others, [P, at], [-1, 1]), other),
      copy(other, view(out, [add(place, at)], [-1, 0], { limit: [undefined, add(place, shard)] })),
    ]),
  );
  return {
    program: {
      name: `${name}[${block}]`,
      tensors: own ? [own, others, out] : [others, out],
      tiles: own ? [mine, other] : [other],
      grid,
      body,
    },
    mapping: vectorMapping(machine, p.groups, 1),
  };
}

type Parts = Pick<Kernel<'collective'>, 'build' | 'reference'>;

function collectiveKernel(name: string, kind: Kind, math: string, parts: Parts): Kernel<'collective'> {
  return {
    name,
    family: kind,
    math,
    op: 'collective',
    shape: SHAPE,
    params: STREAM_PARAMS,
    toOp: (shape, dtype) => ({
      kind: 'collective',
      ...opHead(kind),
      collective: kind,
      ...readShape(name, SHAPE, shape),
      dtype,
    }),
    rejects(op, machine) {
      if (op.collective !== kind) return `${name} does not compute ${op.collective}`;
      if (op.devices < 2) return `${name} needs two devices or more`;
      if (op.devices > machine.max_peers) return `${machine.name} links at most ${machine.max_peers} devices`;
      if (!machine.links.some((l) => l.to === 'peer')) return `${machine.name} has no link to a peer`;
      return lacksMath(machine, op.dtype);
    },
    candidates: (op, machine) => streamCandidates(shardOf(op), machine.cores.lane_group, op.dtype),
    ...parts,
  };
}

const fullTensor = (op: Collective): Tensor => tensor('x', op.dtype, [op.elements], 'input', 'activation');
const outTensor = (op: Collective, n: number): Tensor => tensor('out', op.dtype, [n], 'output', 'activation');

/** x[0, n) + Σ over peers, in plain loops. */
function summed(op: Collective, n: number, x: Float64Array, peer: Float64Array): Float64Array {
  const out = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    out[i] = x[i]!;
    for (let d = 0; d < op.devices - 1; d++) out[i]! += peer[d * n + i]!;
  }
  return out;
}
/** Own shard, then the peers', cut to the tensor's length. */
function collected(op: Collective, own: Float64Array, others: Float64Array): Float64Array {
  const shard = shardOf(op);
  const out = new Float64Array(op.elements);
  for (let i = 0; i < op.elements; i++) {
    const d = Math.floor(i / shard);
    out[i] = d === 0 ? own[i]! : others[(d - 1) * shard + (i % shard)]!;
  }
  return out;
}

/** Each device reads all of every peer: least latency, (devices − 1) × elements over the links. */
export const all_reduce_one_shot = collectiveKernel('all_reduce_one_shot', 'all_reduce', 'out = x + Σ peers’ x', {
  build: (op, params, machine) => [
    sumLaunch(
      op,
      params as StreamParams,
      machine,
      'all_reduce_one_shot',
      op.elements,
      fullTensor(op),
      outTensor(op, op.elements),
    ),
  ],
  reference: (op, { x, peer_x }) => ({ out: summed(op, op.elements, x!, peer_x!) }),
});

/** Reduce-scatter, then all-gather of the reduced shards (peer_reduced): 2·(devices − 1)/devices × elements. */
export const all_reduce_two_shot = collectiveKernel(
  'all_reduce_two_shot',
  'all_reduce',
  'out = x + Σ peers’ x, each device its shard, then gathered',
  {
    build: (op, params, machine) => {
      const p = params as StreamParams;
      const shard = Math.min(shardOf(op), op.elements);
      return [
        sumLaunch(op, p, machine, 'reduce_scatter', shard, fullTensor(op), outTensor(op, op.elements)),
        collectLaunch(op, p, machine, 'all_gather', peers(op, 'peer_reduced', shard), undefined),
      ];
    },
    reference: (op, { x, peer_x, peer_reduced }) => ({
      out: collected(op, summed(op, shardOf(op), x!, peer_x!), peer_reduced!),
    }),
  },
);

export const reduce_scatter = collectiveKernel('reduce_scatter', 'reduce_scatter', 'out = shard of x + Σ peers’ x', {
  build: (op, params, machine) => [
    sumLaunch(
      op,
      params as StreamParams,
      machine,
      'reduce_scatter',
      shardOf(op),
      fullTensor(op),
      outTensor(op, shardOf(op)),
    ),
  ],
  reference: (op, { x, peer_x }) => ({ out: summed(op, shardOf(op), x!, peer_x!) }),
});

export const all_gather = collectiveKernel('all_gather', 'all_gather', 'out = x of every device, in order', {
  build: (op, params, machine) => [
    collectLaunch(
      op,
      params as StreamParams,
      machine,
      'all_gather',
      peers(op, 'peer_x', shardOf(op)),
      tensor('x', op.dtype, [shardOf(op)], 'input', 'activation'),
    ),
  ],
  reference: (op, { x, peer_x }) => ({ out: collected(op, x!, peer_x!) }),
});

/** Each device takes from every other the shard meant for it (peer_x). */
export const all_to_all = collectiveKernel('all_to_all', 'all_to_all', 'out = shard 0 of every device’s x, in order', {
  build: (op, params, machine) => [
    collectLaunch(op, params as StreamParams, machine, 'all_to_all', peers(op, 'peer_x', shardOf(op)), fullTensor(op)),
  ],
  reference: (op, { x, peer_x }) => ({ out: collected(op, x!, peer_x!) }),
});
