/** Products on subgroup matrices: compiled by Dawn for a device that has them, and played on this one by hand. */
import { afterAll, describe, expect, it } from 'vitest';
import { InfeasibleError } from '../../../src/base/errors.js';
import { interpretLaunches } from '../../../src/kernel/interpret.js';
import type { Launch } from '../../../src/kernel/kernel.js';
import { emitLaunches, emitOptions, jobOf, runLaunches } from '../../../src/webgpu/program.js';
import { emitWgsl } from '../../../src/webgpu/wgsl/emit.js';
import { unpackTensor } from '../../../src/webgpu/wgsl/pack.js';
import { type Case, inputsOf, launchesOf } from '../cases.js';
import { testDevice } from '../child-entry.js';
import { machineOf } from '../machine.js';
import { gemm } from './programs.js';

const device = await testDevice();
const info = await device?.info();
const every = await testDevice({ backend: 'null' });
afterAll(() => Promise.all([device?.close(), every?.close()]));

const SHAPE = { m: 16, n: 16, k: 16 };
const tiles = { bm: 32, bn: 32, bk: 32, stages: 2, groups_m: 2, groups_n: 2 };
const CASES: readonly Case[] = [
  { kernel: 'gemm', shape: { m: 64, n: 96, k: 64 }, dtype: 'fp16', params: tiles },
  { kernel: 'gemm', shape: { m: 50, n: 39, k: 45 }, dtype: 'fp16', params: tiles },
  { kernel: 'gemm', shape: { m: 64, n: 64, k: 64 }, dtype: 'bf16', params: { ...tiles, bk: 16, stages: 1 } },
  {
    kernel: 'attention_fused',
    shape: { heads: 1, q_len: 30, kv_len: 32, head_dim: 16 },
    dtype: 'fp16',
    params: { bq: 32, bkv: 16, stages: 1, groups: 4, pack: 0 },
  },
];
/** A machine whose products take 16-bit operands as they are. */
function machine() {
  const plain = machineOf({
    limits: { maxComputeWorkgroupStorageSize: 65536, maxComputeInvocationsPerWorkgroup: 256 },
  });
  const [unit, ...rest] = plain.units;
  const mma = (['fp16', 'bf16'] as const).map((t) => ({
    ...unit!.mma[0]!,
    a: t,
    b: t,
    acc: 'fp32' as const,
    ...SHAPE,
  }));
  return { ...plain, units: [{ ...unit!, mma: [...unit!.mma, ...mma] }, ...rest] };
}
const options = { f16: true, matrix: SHAPE, subgroup: [8, 8] as const, workgroup_B: 65536, storage_buffers: 16 };
const built = (c: Case): readonly Launch[] => launchesOf(c, machine(), () => true);

/**
 * The same shader with each lane holding whole matrices of its own: what subgroupMatrixLoad, Store and
 * MultiplyAccumulate do, written out.
 */
function byHand(wgsl: string): string {
  const { m, n, k } = SHAPE;
  const helpers = new Map<string, string>();
  const text = wgsl
    .replace('enable chromium_experimental_subgroup_matrix;\n', '')
    .replace(
      /subgroupMatrixLoad<subgroup_matrix_(\w+)<\w+, (\d+), (\d+)>, (\w+)>\(&(\w+), /g,
      (_, role: string, cols: string, rows: string, order: string, memory: string) => {
        const name = `load_${role}_${order}_${memory}`;
        const vec = new RegExp(`<workgroup> ${memory}: array<vec4`).test(wgsl);
        const element = (at: string) => (vec ? `${memory}[(${at}) / 4][(${at}) % 4]` : `${memory}[${at}]`);
        const unit = vec ? 4 : 1;
        const at = order === 'row_major' ? 'r * stride + c' : 'c * stride + r';
        helpers.set(
          name,
          `fn ${name}(start: u32, pitch: u32) -> array<f32, 256> { var out: array<f32, 256>; let stride = pitch * ${unit};
  for (var r = 0u; r < ${rows}; r++) { for (var c = 0u; c < ${cols}; c++) { out[r * ${cols} + c] = f32(${element(`start * ${unit} + ${at}`)}); } } return out; }`,
        );
        return `${name}(`;
      },
    )
    .replace(/subgroupMatrixStore<row_major>\(&(\w+), /g, (_, memory: string) => {
      const name = `store_${memory}`;
      helpers.set(
        name,
        `fn ${name}(start: u32, x: array<f32, 256>, stride: u32) { for (var r = 0u; r < ${m}; r++) { for (var c = 0u; c < ${n}; c++) { ${memory}[start + r * stride + c] = x[r * ${n} + c]; } } }`,
      );
      return `${name}(`;
    })
    .replaceAll('subgroupMatrixMultiplyAccumulate(', 'multiply(')
    .replace(/subgroup_matrix_result<f32, \d+, \d+>/g, 'array<f32, 256>');
  helpers.set(
    'multiply',
    `fn multiply(a: array<f32, 256>, b: array<f32, 256>, x: array<f32, 256>) -> array<f32, 256> { var y = x; for (var r = 0; r < ${m}; r++) { for (var c = 0; c < ${n}; c++) { var s = x[r * ${n} + c]; for (var d = 0; d < ${k}; d++) { s += a[r * ${k} + d] * b[d * ${n} + c]; } y[r * ${n} + c] = s; } } return y; }`,
  );
  return `${text}\n${[...helpers.values()].join('\n')}\n`;
}

describe('subgroup matrices', { timeout: 120_000 }, () => {
  it('a product, as text', async () => {
    const s = emitWgsl(gemm(64, 128, 48), { ...options, subgroup: [32, 32] });
    await expect(s.wgsl).toMatchFileSnapshot('golden/gemm-matrices.wgsl');
  });
  it.skipIf(!every).each(CASES.map((c) => [c.kernel, c.dtype, c] as const))(
    'Dawn compiles %s of %s',
    async (_, __, c) => {
      for (const s of emitLaunches(built(c), { ...options, subgroup: [4, 128] })) {
        expect(s.wgsl).toContain('subgroupMatrixMultiplyAccumulate');
        await every!.run({
          buffers: [],
          steps: [{ name: c.kernel, wgsl: s.wgsl, entry: s.entry, workgroups: [1, 1, 1], bindings: [] }],
          read: [],
          compileOnly: true,
        });
      }
    },
  );
  it.skipIf(!device || info?.subgroup[0] !== 8).each(CASES.map((c) => [c.kernel, c.dtype, c] as const))(
    'played by hand, %s of %s equals the interpreter',
    async (_, __, c) => {
      const launches = built(c);
      const inputs = inputsOf(launches, c);
      const expected = interpretLaunches(launches, inputs).outputs;
      const shaders = emitLaunches(launches, { ...options, compact: true });
      const { job, outputs } = jobOf(shaders, inputs);
      const steps = job.steps.map((s) => ({ ...s, wgsl: byHand(s.wgsl) }));
      const { read } = await device!.run({ ...job, steps });
      for (const [name, { tensor, binding }] of outputs) {
        if (!expected[name]) continue;
        const got = unpackTensor(tensor, read[name]!, binding.type);
        const scale = Math.max(...expected[name]!.map(Math.abs));
        const worst = Math.max(...got.map((x, i) => Math.abs(x - expected[name]![i]!)));
        expect(worst / scale, name).toBeLessThan(4e-3);
      }
    },
  );
  it.skipIf(!device || info?.subgroup_matrix.length !== 0)('a device without them says so', async () => {
    expect(() => emitOptions(info!, { subgroup_matrix: true })).toThrow(
      /has no subgroup matrices.*chromium-experimental/,
    );
    const running = runLaunches(device!, [gemm(64, 64, 32)], {}, { subgroup_matrix: true });
    await expect(running).rejects.toThrow(InfeasibleError);
  });
  it('refuses what does not fit them, with the reason', () => {
    expect(() => emitWgsl(gemm(64, 64, 32), { ...options, f16: false })).toThrow(/operand As is kept as f32/);
    expect(() => emitWgsl(gemm(64, 64, 32), { ...options, matrix: { m: 16, n: 16, k: 32 } })).toThrow(
      /32×64×16 is no whole number of the device's 16×16×32/,
    );
    expect(() => emitWgsl(gemm(64, 64, 32), { ...options, subgroup: [64, 128] })).toThrow(/64 lanes are no whole/);
  });
});
