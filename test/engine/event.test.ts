/** Programs small enough to work out their time by hand. */
import { expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { COLD, type Context } from '../../src/engine/types.js';
import {
  add,
  copy,
  gather,
  loop,
  loopVar,
  map,
  mapFn,
  mma,
  mul,
  type Program,
  type Stmt,
  type Tensor,
  type Tile,
  tensor,
  tile,
  view,
} from '../../src/kernel/ir.js';
import type { Launch, Mapping } from '../../src/kernel/kernel.js';
import type { ResourceGraph } from '../../src/machine/graph.js';
import { NS, type Options, simpleMachine } from './event-machine.js';

const MAPPING: Mapping = { lanes: 32, partition: [1, 1], resident: 0, panel: 1, mma: 'matrix' };
/** Everything is in the cache but outputs. */
const WARM: Context = { ...COLD, reuse_B: { weight: 0, activation: 0, kv: 0, index: 0 } };
const EDGE = 64;
/** One tile of 64 × 64 fp16. */
const TILE_B = EDGE * EDGE * 2;
const DRAM = 500;
const L2 = 100;
/** Over the link at 50 B/ns. */
const LINK = TILE_B / 50;
/** 64³ multiply–accumulates at 1024 a cycle. */
const MMA = EDGE ** 3 / 1024;

const g = loopVar('g');
const i = loopVar('i');

function launchOf(
  grid: number,
  tensors: readonly Tensor[],
  tiles: readonly Tile[],
  body: readonly Stmt[],
  mapping: Partial<Mapping> = {},
): Launch {
  const program: Program = { name: 'test', tensors, tiles, grid: [{ index: g, extent: grid }], body };
  return { program, mapping: { ...MAPPING, ...mapping } };
}
const inNs = (launch: Launch, o: Options = {}, context: Context = COLD): number =>
  runEvent(launch, simpleMachine(o), context).time_s / NS;

/** A streams through a tile of `stages` buffers, a block of 64 columns per iteration, each multiplied with what is in b. */
function stream(n: number, stages: number, grid = 1, mapping: Partial<Mapping> = {}): Launch {
  const A = tensor('A', 'fp16', [EDGE * grid, EDGE * n], 'input', 'activation');
  const a = tile('a', 'shared', 'fp16', EDGE, EDGE, stages);
  const b = tile('b', 'shared', 'fp16', EDGE, EDGE);
  const acc = tile('acc', 'register', 'fp32', EDGE, EDGE);
  const body = [loop(i, 0, n, [copy(view(A, [mul(g, EDGE), mul(i, EDGE)], [0, 1]), a), mma(a, b, acc)])];
  return launchOf(grid, [A], [a, b, acc], body, mapping);
}
/** Each workgroup copies one block. */
function copies(grid: number, block: 'own' | 'same', extra: Partial<Mapping> = {}): Launch {
  const A = tensor('A', 'fp16', [EDGE * grid, EDGE], 'input', 'activation');
  const a = tile('a', 'shared', 'fp16', EDGE, EDGE);
  return launchOf(grid, [A], [a], [copy(view(A, [block === 'own' ? mul(g, EDGE) : 0, 0], [0, 1]), a)], extra);
}

test('one copy takes its latency and its bytes over the narrowest server', () => {
  expect(inNs(copies(1, 'own'))).toBeCloseTo(DRAM + LINK, 6);
  expect(inNs(copies(1, 'own'), {}, WARM)).toBeCloseTo(L2 + LINK, 6);
  expect(inNs(copies(1, 'own'), { dram_B_per_s: 10e9 })).toBeCloseTo(DRAM + TILE_B / 10, 6);
});

test('the launch costs what its context says', () => {
  const eager = runEvent(copies(1, 'own'), simpleMachine({ launch_s: 700 * NS }), { ...COLD, launch: 'eager' });
  expect(eager.launch_s / NS).toBeCloseTo(3000, 6);
  expect(eager.time_s / NS).toBeCloseTo(3000 + DRAM + LINK, 6);
  expect(inNs(copies(1, 'own'), { launch_s: 700 * NS })).toBeCloseTo(700 + DRAM + LINK, 6);
});

test('a pipelined loop runs at the pace of the matrix unit when that is slower than the copies', () => {
  expect(MMA).toBeGreaterThan(LINK);
  expect(inNs(stream(20, 4))).toBeCloseTo(DRAM + LINK + 20 * MMA, 6);
});

test('a pipelined loop runs at the pace of the copies when those are slower', () => {
  const slow = TILE_B / 10;
  expect(inNs(stream(20, 4), { link_B_per_s: 10e9 }, WARM)).toBeCloseTo(L2 + 20 * slow + MMA, 6);
});

test('with one buffer copies and products take turns', () => {
  expect(inNs(stream(20, 1), {}, WARM)).toBeCloseTo(20 * (L2 + LINK + MMA), 6);
});

test('two buffers hide as much latency as one product lasts', () => {
  // A buffer is free when its product ends; its next copy is back after the other buffer's product and the rest of it.
  const round = L2 + LINK + MMA;
  expect(round).toBeGreaterThan(2 * MMA);
  expect(inNs(stream(4, 2), {}, WARM)).toBeCloseTo(L2 + LINK + MMA + MMA + (round - MMA) - MMA + 2 * MMA, 6);
});

test('two resident workgroups overlap, one after another does not', () => {
  const together = inNs(stream(1, 1, 2), {}, WARM);
  // Both copies at once, one behind the other on the link; products follow one another.
  expect(together).toBeCloseTo(L2 + LINK + 2 * MMA, 6);
  expect(inNs(stream(1, 1, 2, { resident: 1 }), {}, WARM)).toBeCloseTo(2 * (L2 + LINK + MMA), 6);
});

test('workgroups are dispatched one per interval, to the least-loaded core', () => {
  const t = inNs(copies(8, 'own'), { cores: 8, dispatch_interval_s: 10 * NS }, WARM);
  expect(t).toBeCloseTo(7 * 10 + L2 + LINK, 6);
  expect(inNs(copies(8, 'own'), { cores: 4 }, WARM)).toBeCloseTo(L2 + 2 * LINK, 6);
  expect(inNs(copies(1, 'own'), { workgroup_start_cycles: 50 }, WARM)).toBeCloseTo(50 + L2 + LINK, 6);
});

test('a block is fetched once for all that ask while it is on its way', () => {
  const r = runEvent(copies(4, 'same'), simpleMachine({ cores: 4 }), COLD);
  expect(r.moved_B['dram']!.read_B).toBe(TILE_B);
  expect(r.moved_B['l2']!.read_B).toBe(4 * TILE_B);
  expect(r.requested_B['dram']!.read_B).toBe(4 * TILE_B);
  expect(r.time_s / NS).toBeCloseTo(DRAM + LINK, 6);
});

test('a cluster reads what its workgroups share once, if the machine can multicast', () => {
  const m = simpleMachine({ cores: 4 });
  const multicast = { ...m, cores: { ...m.cores, multicast: 2 } };
  const l2 = (block: 'own' | 'same', machine: ResourceGraph) =>
    runEvent(copies(4, block, { cluster: [4, 1] }), machine, COLD).moved_B['l2']!.read_B;
  expect(l2('same', m)).toBe(4 * TILE_B);
  expect(l2('same', multicast)).toBe(2 * TILE_B);
  expect(l2('own', multicast)).toBe(4 * TILE_B);
});

test('the far part of a cache adds its share of latency to a hit, not to a miss', () => {
  const m = simpleMachine();
  const far = { extra_latency_s: 80 * NS, share: 0.5 };
  const split = { ...m, stores: m.stores.map((s) => (s.id === 'l2' ? { ...s, far } : s)) };
  expect(runEvent(copies(1, 'own'), split, WARM).time_s / NS).toBeCloseTo(L2 + 40 + LINK, 6);
  expect(runEvent(copies(1, 'own'), split, COLD).time_s / NS).toBeCloseTo(DRAM + LINK, 6);
});

test('DRAM is slower where reads and writes mix', () => {
  const m = simpleMachine({ l2_B: 2 * TILE_B, dram_B_per_s: 10e9 });
  const mixed = { ...m, stores: m.stores.map((s) => (s.id === 'dram' ? { ...s, mixed_fraction: 0.5 } : s)) };
  const read = copies(8, 'own');
  expect(runEvent(read, mixed, COLD).time_s).toBe(runEvent(read, m, COLD).time_s);
  const A = tensor('A', 'fp16', [EDGE, EDGE * 8], 'input', 'activation');
  const C = tensor('C', 'fp16', [EDGE, EDGE * 8], 'output', 'activation');
  const a = tile('a', 'shared', 'fp16', EDGE, EDGE);
  const at = [0, mul(i, EDGE)];
  const both = launchOf(1, [A, C], [a], [loop(i, 0, 8, [copy(view(A, at, [0, 1]), a), copy(a, view(C, at, [0, 1]))])]);
  expect(runEvent(both, mixed, COLD).time_s).toBeGreaterThan(1.2 * runEvent(both, m, COLD).time_s);
});

test('DRAM is shared: four blocks for four cores queue there', () => {
  const o = { cores: 4, dram_B_per_s: 50e9 };
  expect(inNs(copies(4, 'own'), o)).toBeCloseTo(DRAM + 4 * LINK, 6);
  expect(runEvent(copies(4, 'own'), simpleMachine(o), COLD).bound_by).toBe('dram');
});

test('what does not fit the cache is fetched again, least recently used out first', () => {
  const A = tensor('A', 'fp16', [EDGE, EDGE * 4], 'input', 'activation');
  const a = tile('a', 'shared', 'fp16', EDGE, EDGE);
  const j = loopVar('j');
  const body = [loop(j, 0, 3, [loop(i, 0, 4, [copy(view(A, [0, mul(i, EDGE)], [0, 1]), a)])])];
  const l = launchOf(1, [A], [a], body);
  expect(runEvent(l, simpleMachine({ l2_B: 4 * TILE_B }), COLD).moved_B['dram']!.read_B).toBe(4 * TILE_B);
  expect(runEvent(l, simpleMachine({ l2_B: 4 * TILE_B - 1 }), COLD).moved_B['dram']!.read_B).toBe(12 * TILE_B);
});

test('part of a tensor is still in the cache when its reuse distance leaves room for part', () => {
  const half: Context = { ...COLD, reuse_B: { ...COLD.reuse_B, activation: 6 * TILE_B } };
  const r = runEvent(copies(4, 'own'), simpleMachine({ l2_B: 8 * TILE_B }), half);
  expect(r.moved_B['dram']!.read_B).toBe(2 * TILE_B);
});

test('a core has no more bytes on their way than its window', () => {
  // 8 KiB at a time, each for 100 + … ns: as if the link ran at 8192 B per 100 ns.
  const many = (n: number) => {
    const A = tensor('A', 'fp16', [EDGE, EDGE * n], 'input', 'activation');
    const tiles = Array.from({ length: n }, (_, k) => tile(`a${k}`, 'shared', 'fp16', EDGE, EDGE));
    return launchOf(
      1,
      [A],
      tiles,
      tiles.map((t, k) => copy(view(A, [0, k * EDGE], [0, 1]), t)),
    );
  };
  const o = { link_B_per_s: 1e15, in_flight_B: TILE_B };
  expect(inNs(many(5), o, WARM)).toBeCloseTo(5 * L2, 2);
  expect(inNs(many(1), o, WARM)).toBeCloseTo(L2 + TILE_B / 1000, 2);
});

test('loads that follow one another are asked for together', () => {
  const A = tensor('A', 'fp16', [EDGE, EDGE], 'input', 'activation');
  const B = tensor('B', 'fp16', [EDGE, EDGE], 'input', 'weight');
  const [a, b] = [tile('a', 'shared', 'fp16', EDGE, EDGE), tile('b', 'shared', 'fp16', EDGE, EDGE)];
  const l = launchOf(1, [A, B], [a, b], [copy(view(A, [0, 0], [0, 1]), a), copy(view(B, [0, 0], [0, 1]), b)]);
  expect(inNs(l, {}, WARM)).toBeCloseTo(L2 + 2 * LINK, 6);
});

test('stores are waited for by the kernel only, and outputs are counted as written to memory', () => {
  const C = tensor('C', 'fp16', [EDGE, EDGE], 'output', 'activation');
  const S = tensor('S', 'fp16', [EDGE, EDGE], 'scratch', 'activation');
  const c = tile('c', 'shared', 'fp16', EDGE, EDGE);
  const r = runEvent(launchOf(1, [C], [c], [copy(c, view(C, [0, 0], [0, 1]))]), simpleMachine(), COLD);
  expect(r.time_s / NS).toBeCloseTo(LINK + L2, 6);
  expect(r.moved_B['dram']).toEqual({ read_B: 0, write_B: TILE_B });
  const s = runEvent(launchOf(1, [S], [c], [copy(c, view(S, [0, 0], [0, 1]))]), simpleMachine(), COLD);
  expect(s.moved_B['dram']).toEqual({ read_B: 0, write_B: 0 });
});

test('dirty blocks that are pushed out take DRAM time, and so does what others left', () => {
  const C = tensor('C', 'fp16', [EDGE, EDGE * 8], 'output', 'activation');
  const c = tile('c', 'shared', 'fp16', EDGE, EDGE);
  const l = launchOf(1, [C], [c], [loop(i, 0, 8, [copy(c, view(C, [0, mul(i, EDGE)], [0, 1]))])]);
  const r = runEvent(l, simpleMachine({ l2_B: 2 * TILE_B }), COLD);
  expect(r.moved_B['dram']!.write_B).toBe(8 * TILE_B);
  const slow = runEvent(l, simpleMachine({ l2_B: 2 * TILE_B, dram_B_per_s: 10e9 }), COLD);
  expect(slow.time_s / NS).toBeCloseTo((8 * TILE_B) / 10 + L2, 6);
  expect(runEvent(l, simpleMachine({ dram_B_per_s: 10e9 }), COLD).time_s).toBeCloseTo(slow.time_s, 15);
});

test('a workgroup of one lane group has its share of the units', () => {
  expect(inNs(stream(1, 1), { issue_groups: 4 }, WARM)).toBeCloseTo(L2 + LINK + 4 * MMA, 6);
  // Four of them fill the unit: together they take as long as one of them alone, eight twice as long.
  const o = { issue_groups: 4, link_B_per_s: 1e15 };
  expect(inNs(stream(1, 1, 4), o, WARM)).toBeCloseTo(L2 + (4 * TILE_B) / 1000 + 4 * MMA, 2);
  expect(inNs(stream(1, 1, 8), o, WARM)).toBeCloseTo(L2 + (4 * TILE_B) / 1000 + 8 * MMA, 2);
});

test('maps run on their pipes side by side, and a reader waits for their latency', () => {
  const x = tile('x', 'register', 'fp32', 32, 32);
  const both = mapFn('exp2(a·x)', 1, { f: 'exp2', args: [{ f: 'mul', args: [{ in: 0 }, 2] }] });
  const one = launchOf(1, [], [x], [map(both, [x], x)]);
  expect(inNs(one)).toBeCloseTo(1024 / 16, 6);
  const two = launchOf(1, [], [x], [map(both, [x], x), map(both, [x], x)]);
  expect(inNs(two)).toBeCloseTo((2 * 1024) / 16 + 24, 6);
});

test('an accumulator is chained in the matrix unit, but its readers wait for the latency', () => {
  const [a, b] = [tile('a', 'shared', 'fp16', EDGE, EDGE), tile('b', 'shared', 'fp16', EDGE, EDGE)];
  const acc = tile('acc', 'register', 'fp32', EDGE, EDGE);
  const scale = mapFn('2x', 1, { f: 'mul', args: [{ in: 0 }, 2] });
  const l = (body: Stmt[]) => launchOf(1, [], [a, b, acc], body);
  const o = { matrix_latency_cycles: 33 };
  expect(inNs(l([mma(a, b, acc), mma(a, b, acc)]), o)).toBeCloseTo(2 * MMA, 6);
  expect(inNs(l([mma(a, b, acc), map(scale, [acc], acc)]), o)).toBeCloseTo(MMA + 33 + EDGE ** 2 / 64, 6);
});

test('operands of matrix instructions are read through the shared port', () => {
  // Shared operands: a once per 8 columns, b once per 16 rows.
  const bytes = EDGE * EDGE * 2 * (EDGE / 8) + EDGE * EDGE * 2 * (EDGE / 16);
  const l = stream(1, 1);
  const read = runEvent(l, simpleMachine(), WARM).moved_B['shared']!.read_B;
  expect(read).toBe(bytes);
  // On a narrow port, the copy's arrival and then the reads take their time.
  expect(inNs(l, { shared_B_per_cycle: 64 }, WARM)).toBeCloseTo(L2 + LINK + bytes / 64, 6);
});

test('a barrier stands between the writers and the readers of a shared tile', () => {
  expect(inNs(stream(5, 1), { barrier_cycles: 30 }, WARM)).toBeCloseTo(
    // before each product; before each copy but the first
    5 * (L2 + LINK + MMA) + 5 * 30 + 4 * 30,
    6,
  );
  expect(inNs(stream(5, 4), { barrier_cycles: 30 }, WARM)).toBeCloseTo(L2 + LINK + 5 * (30 + MMA), 6);
});

test('loops whose bounds follow the grid run as often as they say', () => {
  const A = tensor('A', 'fp16', [EDGE, EDGE * 4], 'input', 'activation');
  const a = tile('a', 'shared', 'fp16', EDGE, EDGE, 2);
  const [b, acc] = [tile('b', 'shared', 'fp16', EDGE, EDGE), tile('acc', 'register', 'fp32', EDGE, EDGE)];
  const body = [loop(i, 0, add(g, 1), [copy(view(A, [0, mul(i, EDGE)], [0, 1]), a), mma(a, b, acc)])];
  const r = runEvent(launchOf(4, [A], [a, b, acc], body), simpleMachine({ cores: 4 }), WARM);
  expect(r.requested_B['dram']!.read_B).toBe((1 + 2 + 3 + 4) * TILE_B);
  expect(r.flops_executed).toBe((1 + 2 + 3 + 4) * 2 * EDGE ** 3);
  const none = launchOf(1, [A], [a, b, acc], [loop(i, 3, 3, [copy(view(A, [0, 0], [0, 1]), a)]), mma(a, b, acc)]);
  expect(inNs(none)).toBeCloseTo(MMA, 6);
});

test('views are clipped at the edges of their tensors', () => {
  const A = tensor('A', 'fp16', [EDGE + 10, EDGE + 3], 'input', 'activation');
  const a = tile('a', 'shared', 'fp16', EDGE, EDGE);
  const l = launchOf(2, [A], [a], [loop(i, 0, 2, [copy(view(A, [mul(g, EDGE), mul(i, EDGE)], [0, 1]), a)])]);
  const r = runEvent(l, simpleMachine(), COLD);
  expect(r.requested_B['dram']!.read_B).toBe((EDGE + 10) * (EDGE + 3) * 2);
  expect(r.requested_B['shared']!.write_B).toBe((EDGE + 10) * (EDGE + 3) * 2);
  expect(r.moved_B['dram']!.read_B).toBe((EDGE + 10) * (EDGE + 3) * 2);
});

test('a gather waits for the indices that run ahead of it', () => {
  const index = tensor('index', 'int32', [32 * 4], 'input', 'index');
  const A = tensor('A', 'fp16', [1024, EDGE], 'input', 'kv');
  const x = tile('x', 'shared', 'int32', 32, 1, 2);
  const rows = tile('rows', 'shared', 'fp16', 32, EDGE, 2);
  const acc = tile('acc', 'register', 'fp16', 32, EDGE);
  const body = [
    loop(i, 0, 4, [
      copy(view(index, [mul(i, 32)], [0, -1]), x),
      gather(view(A, [0, 0], [0, 1]), x, rows),
      copy(rows, acc),
    ]),
  ];
  const r = runEvent(launchOf(1, [index, A], [x, rows, acc], body), simpleMachine({ link_B_per_s: 1e15 }), WARM);
  expect(r.requested_B['dram']!.read_B).toBe(4 * 32 * 4 + 4 * 32 * EDGE * 2);
  // Two in flight: indices, rows; twice.
  expect(r.time_s / NS).toBeGreaterThan(4 * L2);
  expect(r.time_s / NS).toBeLessThan(4 * L2 + 20);
});

test('memory of another device is reached over its link', () => {
  const A: Tensor = { ...tensor('A', 'fp16', [EDGE, EDGE], 'input', 'activation'), home: 'peer' };
  const a = tile('a', 'shared', 'fp16', EDGE, EDGE);
  const r = runEvent(launchOf(1, [A], [a], [copy(view(A, [0, 0], [0, 1]), a)]), simpleMachine(), COLD);
  expect(r.requested_B['peer']!.read_B).toBe(TILE_B);
  expect(r.moved_B['dram']!.read_B).toBe(0);
  expect(r.time_s / NS).toBeCloseTo(1000 + L2 + TILE_B / 10, 6);
});

test('a launch that does not fit is infeasible', () => {
  const a = tile('a', 'shared', 'fp32', 1024, 1024);
  expect(() => runEvent(launchOf(1, [], [a], []), simpleMachine(), COLD)).toThrow(/shared memory/);
});

test('under a power cap the clock is the highest at which power stays below it', () => {
  const l = stream(200, 4);
  const free = runEvent(l, simpleMachine(), WARM);
  const cap = free.power_W * 0.6;
  const capped = runEvent(l, simpleMachine({ power_cap_W: cap }), WARM);
  expect(capped.power_W).toBeLessThanOrEqual(cap);
  expect(capped.power_W).toBeGreaterThan(0.98 * cap);
  expect(capped.clock_Hz).toBeLessThan(free.clock_Hz);
  expect(capped.time_s).toBeGreaterThan(free.time_s);
  // Nothing but static power is left to give: the device pauses.
  const least = runEvent(l, simpleMachine({ power_cap_W: 1.01 }), WARM);
  expect(least.power_W).toBeCloseTo(1.01, 9);
  expect(least.energy_J).toBeCloseTo(least.power_W * least.time_s, 12);
  expect(() => runEvent(l, simpleMachine({ power_cap_W: 0.9 }), WARM)).toThrow(/cap/);
});
