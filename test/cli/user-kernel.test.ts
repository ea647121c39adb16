/** Kernels from a file outside the package: the documented ones, and what is said of files that hold none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../../scripts/build.mjs';
import { ensureVulkan } from '../../scripts/setup-vulkan.mjs';
import { built, run } from './spawn.js';

const { ok: hasDevice, message } = await ensureVulkan({ install: false });
if (!hasDevice && process.env['CI'] === 'true') throw new Error(message);

/** The programs in the documentation, in order. */
const [variance, product] = [
  ...readFileSync(join(ROOT, 'docs', 'your-own-kernel.md'), 'utf8').matchAll(/```js\n([\s\S]*?)```/g),
].map((m) => m[1]!);

let home: string;
const file = (name: string, text: string): string => {
  writeFileSync(join(home, name), text);
  return `./${name}`;
};
const tilewright = (...args: string[]) => run(args, { cwd: home });

beforeAll(async () => {
  await built();
  home = mkdtempSync(join(tmpdir(), 'tilewright-own-'));
  file('row-variance.mjs', variance!);
  file('product.mjs', product!);
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe('a documented kernel', () => {
  const shape = ['--shape', 'rows=4096,cols=1024', '--dtype', 'fp32'];
  test('is simulated by its path', async () => {
    const { code, stdout } = await tilewright('kernel', './row-variance.mjs', '-m', 'h100-sxm', ...shape, '--json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result.kernel).toBe('row_variance');
    expect(result.flops).toBe(4 * 4096 * 1024);
    expect(result.requested_B.dram).toBe(4 * 4096 * 1024 + 4 * 4096);
    expect(result.time_s).toBeGreaterThan(result.bound_s);
    expect(result.tried).toBeGreaterThan(1);
  });
  test('is bounded and run in events, with a tile that is given', async () => {
    const { code, stdout } = await tilewright(
      ...['kernel', './row-variance.mjs', '-m', 'a100-sxm-80gb', ...shape],
      ...['--tile', 'rows=8,groups=4', '--fidelity', 'event', '--json'],
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout).tile).toEqual({ rows: 8, groups: 4 });
  });
  test('is set beside the least bytes that must move', async () => {
    const { code, stdout } = await tilewright(
      'bounds',
      './row-variance.mjs',
      ...shape,
      '--capacity',
      '192KiB',
      '--json',
    );
    expect(code).toBe(0);
    const bounds = JSON.parse(stdout);
    expect(bounds.bound_B).toBe(4 * 4096 * 1024 + 4 * 4096);
    expect(bounds.schedules).toMatchObject([{ kernel: 'row_variance', sizes: 'yours', ratio: 1 }]);
  });
  test('is printed as a nest and as a shader', { timeout: 60_000 }, async () => {
    const nest = await tilewright('kernel', './product.mjs', '-m', 't4', '--shape', 'm=64,n=64,k=64', '--emit', 'nest');
    expect(nest.stdout).toContain('par for n in');
    const wgsl = await tilewright('kernel', './product.mjs', '-m', 't4', '--shape', 'm=64,n=64,k=64', '--emit', 'wgsl');
    expect(wgsl.stdout).toContain('@compute @workgroup_size');
  });
  test('is none of the listed ones', async () => {
    const { stdout } = await tilewright('list', 'kernels', '--json');
    expect(stdout).not.toContain('row_variance');
  });
  test.skipIf(!hasDevice)(
    'runs on the device, right and with the bytes counted thrice',
    { timeout: 90_000 },
    async () => {
      for (const [path, dims, variants] of [
        ['./row-variance.mjs', 'rows=37,cols=96', '3'],
        ['./product.mjs', 'm=50,n=41,k=37', '2'],
      ] as const) {
        const { code, stdout, stderr } = await tilewright(
          ...['validate', '-m', 't4', '--kernels', path, '--shape', dims, '--cases', variants, '--json'],
        );
        expect(code, stderr).toBe(0);
        const report = JSON.parse(stdout);
        expect(report.n).toBe(Number(variants));
        expect(report.bytes_counted).toBe(report.n);
        expect(report.numerics_failed + report.bytes_unequal).toBe(0);
        for (const c of report.cases) expect(c.numerics.reference_error).toBeLessThan(1e-12);
      }
    },
  );
  test.skipIf(!hasDevice)(
    'that computes something else than its reference is out of tolerance',
    { timeout: 60_000 },
    async () => {
      const wrong = file('wrong.mjs', variance!.replace('/ cols;\n    }', '/ (cols - 1);\n    }'));
      const { code, stdout, stderr } = await tilewright(
        ...['validate', '-m', 't4', '--kernels', wrong, '--shape', 'rows=16,cols=64', '--cases', '1'],
      );
      expect(code).toBe(4);
      expect(stderr).toContain('1 of 1 results are wrong');
      expect(stdout).toContain('the program computes something else');
    },
  );
});

describe('a file is refused in one message', () => {
  test.concurrent.each<[string, string, string, RegExp]>([
    ['without a default export', 'none.mjs', 'export const x = 1;', /none\.mjs: no default export; end the file with/],
    ['with a number', 'number.mjs', 'export default 7;', /the default export is a number, expected a kernel/],
    [
      'with a bare definition',
      'bare.mjs',
      'export default { name: "x", work: () => 1 };',
      /wrap it: export default defineKernel/,
    ],
    [
      'with a field misspelt',
      'field.mjs',
      'import { kernelByName } from "tilewright"; const { reference, ...k } = kernelByName("softmax"); export default { ...k, referense: reference };',
      /the kernel has no 'reference'; it has 'referense'/,
    ],
    [
      'with an op that is none',
      'op.mjs',
      'import { kernelByName } from "tilewright"; export default { ...kernelByName("softmax"), op: "softmx" };',
      /'op' is 'softmx'; did you mean 'softmax'\?/,
    ],
    [
      'with a default that is not legal',
      'param.mjs',
      'import { kernelByName } from "tilewright"; export default { ...kernelByName("softmax"), params: { rows: { description: "", values: [1, 2], default: 3 } } };',
      /param 'rows' has the default 3, expected one of its values 1, 2/,
    ],
    [
      'whose program has no grid',
      'grid.mjs',
      'import { kernelByName } from "tilewright"; const k = kernelByName("softmax"); export default { ...k, build: (...a) => k.build(...a).map((l) => ({ ...l, program: { ...l.program, grid: [] } })) };',
      /the grid of softmax\S+ has no index/,
    ],
    [
      'whose own code fails',
      'throws.mjs',
      'import { kernelByName } from "tilewright"; export default { ...kernelByName("softmax"), build: (op) => op.nothing.here };',
      /throws\.mjs: build\(\) failed: Cannot read properties of undefined/,
    ],
    [
      'that builds no launch',
      'launch.mjs',
      'import { kernelByName } from "tilewright"; export default { ...kernelByName("softmax"), build: () => ({}) };',
      /build\(\) gives an object, expected launches/,
    ],
    [
      'that is no program',
      'broken.mjs',
      'export default {\n  a: 1,\n  b: );\n};',
      /broken\.mjs: cannot be loaded: line 3: /,
    ],
    [
      'that imports what is not there',
      'import.mjs',
      'import { tiles } from "tilewright"; export default tiles;',
      /'tiles' is none of what tilewright exports/,
    ],
  ])('%s', async (_, name, text, expected) => {
    const { code, stdout, stderr } = await tilewright(
      'kernel',
      file(name, text),
      '-m',
      't4',
      '--shape',
      'rows=4,cols=64',
    );
    expect(stderr).toMatch(expected);
    expect(code).toBe(2);
    expect(stdout).toBe('');
  });
  test('that is not there', async () => {
    const { code, stderr } = await tilewright('kernel', './no-such.mjs', '-m', 't4');
    expect(stderr).toContain('./no-such.mjs: no such file');
    expect(code).toBe(2);
  });
  test('whose shape is wrong, with the nearest key', async () => {
    const { code, stderr } = await tilewright('kernel', './row-variance.mjs', '-m', 't4', '--shape', 'row=4,cols=4');
    expect(stderr).toContain("unknown shape key 'row'; did you mean 'rows'?");
    expect(code).toBe(2);
  });
  test('in TypeScript is run, where types can be dropped', async () => {
    const typed = file(
      'typed.mts',
      'import { type Kernel, kernelByName } from "tilewright"; const k: Kernel = kernelByName("softmax"); export default { ...k, name: "typed" };',
    );
    const { code, stdout } = await tilewright('kernel', typed, '-m', 't4', '--shape', 'rows=4,cols=64', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout).kernel).toBe('typed');
  });
});
