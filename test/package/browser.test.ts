/** The core runs in a browser: bundled for one, it may import nothing of Node. */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CORE = ['base', 'machine', 'workload', 'kernel', 'bounds', 'engine'];

const bundle = (entryPoints: string[], stdin?: string) =>
  build({
    ...(stdin === undefined
      ? { entryPoints }
      : { stdin: { contents: stdin, resolveDir: ROOT, loader: 'ts' as const } }),
    bundle: true,
    write: false,
    outdir: 'out',
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    splitting: true,
    metafile: true,
    logLevel: 'silent',
    absWorkingDir: ROOT,
  });

const core = CORE.flatMap((folder) =>
  readdirSync(join(ROOT, 'src', folder), { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.ts') && !f.endsWith('.d.ts'))
    .map((f) => join('src', folder, f)),
);

test('every file of the core bundles for the browser', async () => {
  expect(core.length).toBeGreaterThan(50);
  const { metafile, errors } = await bundle(core);
  expect(errors).toEqual([]);
  const external = Object.values(metafile.inputs).flatMap(({ imports }) => imports.filter((i) => i.external));
  expect(external).toEqual([]);
}, 60_000);

test('what the core needs of Node would be noticed', async () => {
  for (const name of ['node:fs', 'fs']) {
    expect(builtinModules).toContain('fs');
    await expect(bundle([], `import '${name}';`)).rejects.toThrow(/Could not resolve/);
  }
});

/** Node's globals would pass the bundler: sources of the core may not name them. */
test.each(['process', 'Buffer', '__dirname', 'require'])('the core does not use %s', (name) => {
  const used = core.filter((file) =>
    new RegExp(`(?<![\\w.'"\`])${name}\\s*[.(\\[]`).test(
      readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''),
    ),
  );
  expect(used).toEqual([]);
});

test('shaders are made, and run on navigator.gpu, by code that bundles for a browser', async () => {
  const page = `
    import { gemm } from './src/kernel/library/gemm.js';
    import { localDevice } from './src/webgpu/device/local.js';
    import { emitLaunches, emitOptions, runLaunches } from './src/webgpu/program.js';
    export async function run(launches, tensors) {
      const device = await localDevice(navigator.gpu);
      const shaders = emitLaunches(launches, emitOptions(await device.info()));
      return [gemm.name, shaders, await runLaunches(device, launches, tensors)];
    }`;
  const { metafile, errors, outputFiles } = await bundle([], page);
  expect(errors).toEqual([]);
  const files = Object.keys(metafile.inputs);
  expect(files).toContain('src/webgpu/wgsl/emit.ts');
  expect(files.filter((f) => /device\/(dawn|host|child)\.ts$/.test(f))).toEqual([]);
  expect(Object.values(metafile.inputs).flatMap(({ imports }) => imports.filter((i) => i.external))).toEqual([]);
  for (const name of ['process', 'Buffer', 'require'])
    for (const { text } of outputFiles) expect(text).not.toMatch(new RegExp(`(?<![\\w.'"\`])${name}\\s*[.(]`));
}, 60_000);
