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
