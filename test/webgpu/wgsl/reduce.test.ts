/** Reductions on the device, for subgroups of every size that it can be made to have, and none. */
import { afterAll, describe, expect, it } from 'vitest';
import type { DType } from '../../../src/base/dtype.js';
import { interpret } from '../../../src/kernel/interpret.js';
import * as ir from '../../../src/kernel/ir.js';
import type { Launch } from '../../../src/kernel/kernel.js';
import { meetingOf } from '../../../src/kernel/meeting.js';
import { runLaunches } from '../../../src/webgpu/program.js';
import { emitWgsl } from '../../../src/webgpu/wgsl/emit.js';
import { testDevice } from '../child-entry.js';

/** out = op over an axis of x, tile by tile; `into` a register or shared tile. */
function reduction(
  op: ir.ReduceOp,
  axis: 0 | 1,
  [rows, cols]: readonly [number, number],
  lanes: number,
  { dtype = 'fp32' as DType, from = 'register' as ir.Tile['level'], into = 'register' as ir.Tile['level'] } = {},
): Launch {
  const i = ir.loopVar('i');
  const groups = 3;
  const x = ir.tensor('x', dtype, [groups, rows, cols], 'input', 'activation');
  const out = ir.tensor('out', dtype, [groups, axis === 1 ? rows : cols], 'output', 'activation');
  const t = ir.tile('t', from, dtype, rows, cols);
  const to = axis === 1 ? ir.tile('to', into, dtype, rows, 1) : ir.tile('to', into, dtype, 1, cols);
  return {
    program: {
      name: `${op} of ${rows}x${cols} along ${axis}`,
      tensors: [x, out],
      tiles: [t, to],
      grid: [{ index: i, extent: groups }],
      body: [
        ir.copy(ir.view(x, [i, 0, 0], [1, 2]), t),
        ir.reduce(op, axis, t, to),
        ir.reduce(op, axis, t, to, true),
        ir.copy(to, ir.view(out, [i, 0], axis === 1 ? [1, -1] : [-1, 1])),
      ],
    },
    mapping: { lanes, partition: [1, 1], resident: 0, panel: 1, mma: 'vector' },
  };
}

const SHAPES: readonly (readonly [axis: 0 | 1, rows: number, cols: number, lanes: number])[] = [
  [1, 1, 256, 64],
  [1, 1, 3, 64],
  [1, 1, 1024, 256],
  [1, 3, 100, 64],
  [1, 5, 64, 96],
  [1, 40, 24, 64],
  [0, 256, 1, 128],
  [0, 100, 6, 64],
  [0, 64, 32, 128],
  [0, 7, 48, 32],
];

/** llvmpipe's vectors: a subgroup is as many 32-bit lanes; the sizes a device does not take leave it at its own. */
for (const width of ['', '128', '256', '512']) {
  const own = process.env['LP_NATIVE_VECTOR_WIDTH'];
  if (width !== '') process.env['LP_NATIVE_VECTOR_WIDTH'] = width;
  const device = await testDevice();
  const info = await device?.info();
  if (own === undefined) delete process.env['LP_NATIVE_VECTOR_WIDTH'];
  else process.env['LP_NATIVE_VECTOR_WIDTH'] = own;
  afterAll(() => device?.close());

  describe.skipIf(!device || (width !== '' && !info?.fallback))(
    `reductions ${width === '' ? 'without subgroups' : `in subgroups of ${info?.subgroup}`}`,
    { timeout: 120_000 },
    () => {
      const options = { subgroups: width !== '' };
      it.each(SHAPES)('along %i of %i × %i on %i lanes equal the interpreter', async (axis, rows, cols, lanes) => {
        for (const [op, dtype, from, into] of [
          ['sum', 'fp32', 'register', 'register'],
          ['max', 'fp32', 'register', 'shared'],
          ['min', 'fp32', 'shared', 'shared'],
          ['sum', 'int32', 'register', 'register'],
        ] as const) {
          const launch = reduction(op, axis, [rows, cols], lanes, { dtype, from, into });
          const n = 3 * rows * cols;
          // whole numbers whose sums are exact in fp32; integers beyond 2²⁴ are not, so they must be kept as integers
          const scale = dtype === 'int32' ? 65537 : 1;
          const x = Float64Array.from({ length: n }, (_, i) => (((i * 37) % 65) - 30) * scale);
          const expected = interpret(launch.program, { x }).outputs['out']!;
          const run = await runLaunches(device!, [launch], { x }, options);
          expect([...run.outputs['out']!], `${op} of ${dtype}`).toEqual([...expected]);
        }
      });
    },
  );
}

const plain = await testDevice();
afterAll(() => plain?.close());
it.skipIf(!plain)('lanes access workgroup memory as often as the shared rule says', { timeout: 60_000 }, async () => {
  for (const lanes of [32, 64, 256]) {
    const launch = reduction('sum', 1, [1, lanes * 32], lanes);
    const x = new Float64Array(3 * lanes * 32).fill(1);
    const run = await runLaunches(plain!, [launch], { x }, { subgroups: false, counting: true });
    const { fans } = meetingOf(lanes, 1);
    // whole workgroups: what lanes do at each step, by hand
    let [loads, stores, left] = [0, lanes, lanes];
    for (const [step, fan] of fans.entries()) {
      left /= fan;
      const busy = step === fans.length - 1 ? lanes : left;
      loads += busy * fan;
      if (step < fans.length - 1) stores += left;
    }
    const { issued } = run.counts![0]!;
    // three workgroups, two reductions
    expect(issued['workgroup loads']).toBe(6 * loads);
    expect(issued['workgroup stores']).toBe(6 * stores);
    expect(run.shaders[0]!.barriers).toBe(2 * fans.length);
  }
});

const every = await testDevice({ backend: 'null' });
afterAll(() => every?.close());
it.skipIf(!every)('shaders for subgroups of 4 to 128 lanes compile', { timeout: 60_000 }, async () => {
  for (const [axis, rows, cols, lanes] of SHAPES) {
    const { wgsl, entry } = emitWgsl(reduction('sum', axis, [rows, cols], lanes), { subgroup: [4, 128] });
    await every!.run({
      buffers: [],
      steps: [{ name: 'reduce', wgsl, entry, workgroups: [1, 1, 1], bindings: [] }],
      read: [],
      compileOnly: true,
    });
  }
});
