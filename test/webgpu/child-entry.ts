/** The device's child process, bundled from source so that tests need no build. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { ensureVulkan } from '../../scripts/setup-vulkan.mjs';
import { DeviceProcess, type HostOptions } from '../../src/webgpu/device/host.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Bundles src/webgpu/device/child.ts, or another module, under node_modules/.cache, where `import('webgpu')` still resolves. */
export function childEntry(from = 'src/webgpu/device/child.ts'): string {
  const dir = join(root, 'node_modules', '.cache', 'tilewright');
  mkdirSync(dir, { recursive: true });
  const { outputFiles } = buildSync({
    entryPoints: [join(root, from)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['webgpu'],
    write: false,
    logLevel: 'error',
  });
  const { contents, hash } = outputFiles[0]!;
  const outfile = join(dir, `device-child-${hash.replace(/\W/g, '')}.mjs`);
  // another test file may be starting the same child
  writeFileSync(`${outfile}.${process.pid}`, contents);
  renameSync(`${outfile}.${process.pid}`, outfile);
  return outfile;
}

/** A device for tests; undefined, with the reason on stderr, when there is none. With CI=true there must be one. */
export async function testDevice(options: HostOptions = {}): Promise<DeviceProcess | undefined> {
  const { ok, message } = await ensureVulkan({ install: false });
  if (!ok) {
    if (process.env['CI'] === 'true') throw new Error(message);
    process.stderr.write(`skipped: ${message}\n`);
    return undefined;
  }
  return new DeviceProcess({ entry: childEntry(), ...options });
}
