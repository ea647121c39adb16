import { expect, it } from 'vitest';
import { openMachine } from '../../src/cli/files.js';
import { runEvent } from '../../src/engine/event/run.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import type { Context } from '../../src/engine/types.js';
import * as ir from '../../src/kernel/ir.js';
import type { Launch } from '../../src/kernel/kernel.js';
import type { ResourceGraph } from '../../src/machine/graph.js';

const { graph } = await openMachine('xeon-2-cores');
const all = 1 << 30;
const context: Context = { launch: 'graph', reuse_B: { weight: all, activation: all, kv: all, index: all } };

/** n workgroups of 64 lanes; each moves 64 words `times` times through workgroup memory, with barriers in the loop. */
function moving(n: number, times: number): Launch {
  const a = ir.tensor('a', 'fp32', [n, 65], 'input', 'activation');
  const b = ir.tensor('b', 'fp32', [n, 65], 'output', 'activation');
  const near = ir.tile('near', 'shared', 'fp32', 1, 64);
  const held = ir.tile('held', 'register', 'fp32', 1, 64);
  const [g, i] = [ir.loopVar('g'), ir.loopVar('i')];
  const program: ir.Program = {
    name: 'moving',
    tensors: [a, b],
    tiles: [near, held],
    grid: [{ index: g, extent: n }],
    body: [
      ir.loop(i, 0, times, [ir.copy(ir.view(a, [g, 0], [-1, 1]), near), ir.copy(near, held)]),
      ir.copy(held, ir.view(b, [g, 0], [-1, 1])),
    ],
  };
  return { program, mapping: { lanes: 64, partition: [1, 1], resident: 0, panel: 1, mma: 'vector' } };
}
/** Accesses of 100, 200, 300 and 400 cycles a group, in loops with barriers ten times that; nothing else takes time. */
const slow = (more: { barrier?: number; turn?: number; start?: number } = {}): ResourceGraph => {
  const Hz = graph.control.clock.nominal_Hz;
  const none = { B_per_s: 1e15 };
  const s = (cycles: number) => cycles / Hz;
  return {
    ...graph,
    stores: graph.stores.map((x) =>
      x.id === 'shared'
        ? {
            ...x,
            read_B_per_s: 1e15,
            write_B_per_s: 1e15,
            read_access_s: s(100),
            write_access_s: s(200),
            meeting: {
              read_B_per_s: 1e15,
              write_B_per_s: 1e15,
              read_access_s: s(1000),
              write_access_s: s(2000),
            },
          }
        : x,
    ),
    links: graph.links.map((l) =>
      l.to === 'register' && l.from !== 'shared'
        ? { ...l, ...none, access_s: s(300), meeting: { ...none, access_s: s(3000) } }
        : l.from === 'register'
          ? { ...l, ...none, access_s: s(400), meeting: { ...none, access_s: s(4000) } }
          : l,
    ),
    cores: { ...graph.cores, in_order: { turn_cycles: more.turn ?? 0, place_cycles: 0 } },
    control: {
      ...graph.control,
      launch_graph_s: 0,
      workgroup_start_cycles: 0,
      workgroup_start_group_cycles: more.start ?? 0,
      barrier_cycles: 0,
      barrier_group_cycles: more.barrier ?? 0,
    },
  };
};
const GROUPS = 8;
const cycles = (m: ResourceGraph, run: typeof runSteady, l: Launch): number =>
  run(l, m, context).time_s * graph.control.clock.nominal_Hz;

it.each([
  ['steady', runSteady],
  ['event', runEvent],
] as const)('%s sums what each lane group does, one after another', (_, run) => {
  // eight groups: ten times a load, a store and a load in a loop with barriers, then a store outside
  const each = GROUPS * (10 * (3000 + 2000 + 1000) + 400);
  const near = (got: number, want: number) => expect(Math.abs(got / want - 1)).toBeLessThan(0.01);
  near(cycles(slow(), run, moving(2, 10)), each);
  // two cores: a third workgroup runs after the first
  near(cycles(slow(), run, moving(3, 10)), 2 * each);
  // before the tile is written anew and before it is read
  near(cycles(slow({ barrier: 5000 }), run, moving(2, 10)), each + 10 * 2 * GROUPS * 5000);
  near(cycles(slow({ turn: 700 }), run, moving(2, 10)), each + 10 * GROUPS * 700);
  near(cycles(slow({ start: 9000 }), run, moving(2, 10)), each + GROUPS * 9000);
});

it('a grid without dims, or with none of one, is refused', () => {
  const launch = moving(2, 1);
  for (const grid of [[], [{ index: ir.loopVar('g'), extent: 0 }]])
    expect(() => runSteady({ ...launch, program: { ...launch.program, grid } }, graph, context)).toThrow(
      /no workgroup/,
    );
});
