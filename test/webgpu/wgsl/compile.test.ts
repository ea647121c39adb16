/**
 * Every kernel of the library as shaders that Dawn's compiler takes: many shapes, formats and tiles, for a device that
 * has every feature and subgroups of 4 to 128 lanes, for one with none, and for the device that is here (which has more
 * workgroup memory). Nothing runs; library.test.ts runs some.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { DType } from '../../../src/base/dtype.js';
import { InfeasibleError, InputError } from '../../../src/base/errors.js';
import type { Launch, Params } from '../../../src/kernel/kernel.js';
import { KERNEL_LIST, kernelByName } from '../../../src/kernel/library/index.js';
import { spread } from '../../../src/validate/device/run.js';
import { emitLaunches, emitOptions } from '../../../src/webgpu/program.js';
import type { EmitOptions } from '../../../src/webgpu/wgsl/options.js';
import type { Op } from '../../../src/workload/op.js';
import { testDevice } from '../child-entry.js';
import { machineOf } from '../machine.js';

type Shape = Readonly<Record<string, number>>;
const PRODUCTS: readonly Shape[] = [
  { m: 128, n: 96, k: 256 },
  { m: 50, n: 39, k: 130, batch: 2 },
];
const ATTENTION: readonly Shape[] = [
  { heads: 2, q_len: 64, kv_len: 96, head_dim: 32 },
  { heads: 4, kv_heads: 2, q_len: 40, head_dim: 16, causal: 1 },
];
const ROWS: readonly Shape[] = [
  { rows: 8, cols: 256 },
  { rows: 5, cols: 1000 },
];
const FAR: readonly Shape[] = [{ elements: 4096, devices: 4 }];
const SHAPES: Readonly<Record<string, readonly Shape[]>> = {
  gemm: PRODUCTS,
  gemm_split_k: PRODUCTS,
  gemm_stream_k: PRODUCTS,
  gemv: [
    { n: 128, k: 256 },
    { m: 3, n: 100, k: 200 },
  ],
  grouped_gemm: [{ rows: 80, n: 64, k: 64, groups: 3 }],
  conv2d: [{ in_channels: 16, out_channels: 32, height: 9, width: 10, kernel: 3, stride: 2, padding: 1 }],
  conv2d_window: [{ in_channels: 16, out_channels: 32, height: 9, width: 10, kernel: 2 }],
  conv3d: [{ in_channels: 16, out_channels: 32, depth: 4, height: 6, width: 10, padding: 1, padding_depth: 1 }],
  attention_fused: ATTENTION,
  attention_split: ATTENTION,
  attention_two_pass: ATTENTION,
  attention_unfused: ATTENTION,
  attention_small_memory: ATTENTION,
  attention_keys_outer: ATTENTION,
  attention_backward_fused: ATTENTION,
  attention_backward_two_sweeps: ATTENTION,
  attention_backward_unfused: ATTENTION,
  attention_backward_keys_outer: ATTENTION,
  softmax: [...ROWS, { rows: 2, cols: 5000 }],
  layernorm: ROWS,
  rmsnorm: [...ROWS, { rows: 4, cols: 64, residual: 1 }],
  elementwise: [0, 3, 6, 8].map((op) => ({ op, n: 1000 })),
  rotary: [{ rows: 5, heads: 4, head_dim: 32 }],
  rotary_cache: [{ rows: 8, heads: 4, head_dim: 32, kv_heads: 2, positions: 4 }],
  kv_append: [{ rows: 6, cols: 64 }],
  gather: [{ rows: 20, cols: 48, table_rows: 64 }],
  scatter_combine: [{ rows: 12, cols: 32, fan_in: 2 }],
  scatter_add: [{ rows: 12, cols: 32, fan_in: 2 }],
  topk: [{ rows: 6, cols: 32, k: 2 }],
  transpose: [
    { rows: 64, cols: 64 },
    { rows: 33, cols: 17 },
  ],
  fft: [{ n: 64, batch: 3 }, { n: 1024 }, { n: 32768, inverse: 1 }],
  optimiser: [{ n: 1000 }],
  reduce: [...ROWS, { rows: 4, cols: 512, op: 1 }],
  all_reduce_one_shot: FAR,
  all_reduce_two_shot: FAR,
  all_gather: FAR,
  reduce_scatter: FAR,
  all_to_all: FAR,
};
/** Of operands; products of fp16 activations take weights of few bits too. */
const FORMATS: readonly { readonly dtype: DType; readonly op?: Readonly<Record<string, unknown>> }[] = [
  { dtype: 'fp32' },
  { dtype: 'fp16' },
  { dtype: 'bf16' },
  { dtype: 'int8' },
  { dtype: 'int4' },
  { dtype: 'fp8_e4m3' },
  { dtype: 'fp16', op: { b: 'int8' } },
  { dtype: 'bf16', op: { b: 'int4' } },
];
/** Kernels that no WebGPU device runs, with what is said of them. */
const REFUSED: Readonly<Record<string, RegExp>> = Object.fromEntries(
  ['all_reduce_one_shot', 'all_reduce_two_shot', 'all_gather', 'reduce_scatter', 'all_to_all'].map((name) => [
    name,
    /cannot be a WebGPU shader: tensor \w+ lies in the memory 'peer'/,
  ]),
);
/** Of kernels whose own choices need more workgroup memory than these devices have. */
const CHOSEN: Readonly<Record<string, Params>> = {
  attention_keys_outer: { bq: 16, bkv: 16, stages: 1, groups: 4 },
  attention_backward_keys_outer: { bq: 16, bkv: 16, stages: 1, groups: 4 },
};
/** Tiles of each kernel, shape and format, spread over the first that fit. */
const FITTING = 16;

const every = await testDevice({ backend: 'null' });
const info = await every?.info();
const device = await testDevice();
const own = await device?.info();
afterAll(() => Promise.all([every?.close(), device?.close()]));

/** Laid on arrays of processing elements, which no shader has. */
const ON_ARRAYS = ['attention_one_pass', 'attention_rows_kept', 'attention_phases'];

it('the sample names every kernel of the library', () =>
  expect([...Object.keys(SHAPES), ...ON_ARRAYS].sort()).toEqual(KERNEL_LIST.map((k) => k.name).sort()));

describe.skipIf(!every)('Dawn compiles', { timeout: 120_000 }, () => {
  const rich = emitOptions(info!, {});
  const bare: EmitOptions = { ...rich, f16: false, subgroup: undefined, dot4: false, packed: false };
  const targets = [
    [every!, rich, machineOf(info!), 3],
    [every!, bare, machineOf(info!), 3],
    [device!, emitOptions(own!, {}), machineOf(own!), 1],
  ] as const;
  let compiled = 0;

  it.each(Object.entries(SHAPES))('%s', async (name, shapes) => {
    const kernel = kernelByName(name);
    const refused = REFUSED[name];
    let emitted = 0;
    for (const shape of shapes)
      for (const { dtype, op: more } of FORMATS) {
        if (more && kernel.op !== 'matmul') continue;
        let op: Op;
        try {
          op = { ...kernel.toOp(shape, dtype), ...more } as Op;
        } catch (e) {
          expect(e).toBeInstanceOf(InputError);
          continue;
        }
        for (const [target, options, machine, most] of targets) {
          if (kernel.rejects(op, machine)) continue;
          const fitting: ReturnType<typeof emitLaunches>[] = [];
          const defaults = Object.fromEntries(Object.entries(kernel.params).map(([k, p]) => [k, p.default]));
          const choices = CHOSEN[name] ? [{ ...defaults, ...CHOSEN[name] }] : kernel.candidates(op, machine);
          for (const params of choices) {
            let launches: readonly Launch[];
            try {
              launches = kernel.build(op, params, machine);
            } catch (e) {
              expect(e).toBeInstanceOf(InputError);
              continue;
            }
            try {
              fitting.push(emitLaunches(launches, options));
            } catch (e) {
              expect(e).toBeInstanceOf(InfeasibleError);
              if (refused) expect((e as Error).message).toMatch(refused);
            }
            if (fitting.length === FITTING) break;
          }
          if (refused) {
            expect(fitting.length).toBe(0);
            continue;
          }
          for (const shaders of spread(fitting, most)) {
            await target.run({
              buffers: [],
              steps: shaders.map(({ wgsl, entry }) => ({ name, wgsl, entry, workgroups: [1, 1, 1], bindings: [] })),
              read: [],
              compileOnly: true,
            });
            emitted += shaders.length;
          }
        }
      }
    if (!refused) expect(emitted).toBeGreaterThan(0);
    compiled += emitted;
  });
  it('several hundred shaders', () => {
    process.stderr.write(`${compiled} shaders compiled\n`);
    expect(compiled).toBeGreaterThan(500);
  });
});
