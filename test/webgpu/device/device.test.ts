import { spawn } from 'node:child_process';
import { buildSync } from 'esbuild';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { DeviceError } from '../../../src/webgpu/device/errors.js';
import type { Job } from '../../../src/webgpu/device/job.js';
import { childEntry, testDevice } from '../child-entry.js';

const device = await testDevice();
afterAll(() => device?.close());

const DOUBLE = `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] = x[id.x] * 2; }
}`;
const BUSY = `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  var s = x[id.x]; for (var i = 0u; i < 4000000000u; i++) { s = sin(s) + f32(i); } x[id.x] = s; }`;
const floats = (n: number) => Float32Array.from({ length: n }, (_, i) => i);
const job = (wgsl: string, n = 100, more: Partial<Job> = {}): Job => ({
  buffers: [{ name: 'x', size_B: n * 4, data: new Uint8Array(floats(n).buffer) }],
  steps: [{ name: 'double', wgsl, entry: 'main', workgroups: [Math.ceil(n / 64), 1, 1], bindings: ['x'] }],
  read: ['x'],
  ...more,
});
const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (e: DeviceError) => e,
  );

describe.skipIf(!device)('a device in a process of its own', { timeout: 60_000 }, () => {
  it('says what it is', async () => {
    const info = await device!.info();
    expect(info.name).not.toBe('');
    expect(info.limits['maxComputeWorkgroupStorageSize']).toBeGreaterThanOrEqual(16384);
    expect((await device!.adapters()).map((a) => a.name)).toContain(info.name);
  });
  it('runs a shader and reads the result back', async () => {
    const { read } = await device!.run(job(DOUBLE));
    expect([...new Float32Array(read['x']!.buffer)]).toEqual([...floats(100)].map((v) => v * 2));
  });
  it('takes several steps over the same buffer', async () => {
    const one = job(DOUBLE);
    const { read, compile_s } = await device!.run({ ...one, steps: [one.steps[0]!, one.steps[0]!] });
    expect(new Float32Array(read['x']!.buffer)[7]).toBe(28);
    expect(compile_s.length).toBe(2);
  });
  it('binds buffers beyond the default limit of 128 MiB where the adapter allows, else says how much it binds', async () => {
    const { limits } = await device!.info();
    const most = Math.min(limits['maxStorageBufferBindingSize']!, limits['maxBufferSize']!);
    const over = await failure(device!.run({ ...job(DOUBLE), buffers: [{ name: 'x', size_B: most + 4 }] }));
    expect(over).toMatchObject({ kind: 'out-of-memory', message: expect.stringContaining(`${most} B`) });
  });
  it('names the line of a shader that does not compile', async () => {
    const e = await failure(device!.run(job(DOUBLE.replace('x[id.x] * 2', 'y[id.x] * 2'))));
    expect(e).toMatchObject({ kind: 'shader', exitCode: 2 });
    expect(e!.message).toMatch(/^double\.wgsl:3:\d+: .*'y'/);
    expect(e!.message).toContain('if (id.x < arrayLength(&x))');
  });
  it('reports a dispatch that cannot be', async () => {
    const one = job(DOUBLE);
    const e = await failure(device!.run({ ...one, steps: [{ ...one.steps[0]!, workgroups: [1_000_000, 1, 1] }] }));
    expect(e).toMatchObject({ kind: 'validation', message: expect.stringContaining('per dimension') });
  });
  it('goes on working after an error', async () => {
    expect((await device!.run(job(DOUBLE))).compile_s).toEqual([0]);
  });
  it('times runs with timestamps that are not rounded, inside their own interval', async () => {
    const { timing } = await device!.run(job(DOUBLE, 65536, { timing: { repeats: 10, limit_s: 2 } }));
    expect(timing!.time_s).toBeGreaterThan(0);
    expect(timing!.lo_s).toBeLessThanOrEqual(timing!.time_s);
    expect(timing!.hi_s).toBeGreaterThanOrEqual(timing!.time_s);
    expect(timing!.samples_s.length).toBeGreaterThanOrEqual(5);
    if ((await device!.info()).features.includes('timestamp-query')) expect(timing!.clock).toBe('timestamps');
  });
  it('times on the host where asked to', async () => {
    const { timing } = await device!.run(job(DOUBLE, 4096, { timing: { repeats: 5, clock: 'host', limit_s: 2 } }));
    expect(timing!.clock).toBe('host');
  });
});

describe.skipIf(!device)('a device process that fails', { timeout: 60_000 }, () => {
  it('is ended when it takes longer than its limit, and the next request gets a fresh one', async () => {
    const slow = await testDevice();
    const e = await failure(slow!.run(job(BUSY), 2));
    expect(e).toMatchObject({ kind: 'timeout' });
    expect(new Float32Array((await slow!.run(job(DOUBLE))).read['x']!.buffer)[3]).toBe(6);
    await slow!.close();
  });
  it('says that its device was lost, and the next request opens another', async () => {
    process.env['LOSE_AFTER_MS'] = '400';
    const losing = await testDevice({ entry: childEntry('test/webgpu/losing-child.ts') });
    await losing!.info();
    delete process.env['LOSE_AFTER_MS'];
    // batches of it take a second together
    const timing = { repeats: 100, batch_s: 0.01, limit_s: 100 };
    const e = await failure(losing!.run(job(DOUBLE, 65536, { timing })));
    expect(e).toMatchObject({ kind: 'lost', exitCode: 1 });
    expect(e!.message).toMatch(/^the device was lost: .+ \(destroyed\)\..*what runs next opens another$/);
    // the second device lives as long as the first, long enough for this
    expect(new Float32Array((await losing!.run(job(DOUBLE))).read['x']!.buffer)[3]).toBe(6);
    await losing!.close();
  });
  it('is reported with what it said when it dies', async () => {
    const gone = await testDevice();
    const running = gone!.run(job(DOUBLE, 64, { timing: { repeats: 100, batch_s: 1, limit_s: 100 } }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    (gone as unknown as { child: { kill(s: string): void } }).child.kill('SIGKILL');
    expect(await failure(running)).toMatchObject({ kind: 'crashed', message: expect.stringContaining('SIGKILL') });
    await gone!.close();
  });
  it('ends when its parent is killed in the middle of a job', async () => {
    const { wgsl } = job(BUSY).steps[0]!;
    const source = `import { DeviceProcess } from './src/webgpu/device/host.ts';
      const d = new DeviceProcess({ entry: ${JSON.stringify(childEntry())} });
      await d.info();
      console.log(d.child.pid);
      await d.run({ buffers: [{ name: 'x', size_B: 4096 }], read: ['x'],
        steps: [{ name: 'busy', wgsl: ${JSON.stringify(wgsl)}, entry: 'main', workgroups: [1, 1, 1], bindings: ['x'] }] });`;
    const { outputFiles } = buildSync({
      stdin: { contents: source, resolveDir: process.cwd() },
      bundle: true,
      platform: 'node',
      format: 'esm',
      write: false,
    });
    const parent = spawn(process.execPath, ['--input-type=module', '-e', outputFiles[0]!.text], { stdio: 'pipe' });
    const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (d: Buffer) => resolve(Number(d))));
    await new Promise((resolve) => setTimeout(resolve, 500));
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(/ESRCH/), { timeout: 20_000, interval: 100 });
  });
  it('leaves no process behind when closed', async () => {
    const d = await testDevice();
    await d!.info();
    const { pid } = (d as unknown as { child: { pid: number } }).child;
    await d!.close();
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  });
});
