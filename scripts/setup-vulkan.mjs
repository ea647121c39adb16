/**
 * Makes sure that WebGPU (Dawn, npm `webgpu`) finds a device: a GPU's Vulkan driver, or Mesa's software one, lavapipe.
 *
 *   node scripts/setup-vulkan.mjs           looks for an adapter; as root with apt-get, installs lavapipe if none is there
 *   node scripts/setup-vulkan.mjs --check   only looks
 *
 * Debian 12 carries Mesa 22.3, too old for Dawn; there the driver comes from bookworm-backports, which is enabled for
 * the purpose (backports never upgrade anything by themselves). Safe to call again and again. Exit code 0 when an
 * adapter is there; 1 when not and CI=true or --check; else 0 with a message, since everything but real runs works.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = 'mesa-vulkan-drivers';
const PROBE_LIMIT_MS = 60_000;
const INSTALL_LIMIT_MS = 15 * 60_000;
const SOURCES = '/etc/apt/sources.list.d';
const BACKPORTS_FILE = join(SOURCES, 'bookworm-backports.sources');

/** @returns {Promise<{ok: boolean, message: string}>} whether an adapter is there now, and what was found or is to be done */
export async function ensureVulkan({ install = true, log = (line) => process.stderr.write(`${line}\n`) } = {}) {
  const first = await probe();
  if (first.adapter) return { ok: true, message: `WebGPU adapter: ${first.adapter}` };
  if (first.missing)
    return { ok: false, message: 'the optional package webgpu is not installed; install it with: npm install webgpu' };
  const release = osRelease();
  const advice = adviceFor(release);
  if (!install) return { ok: false, message: `no WebGPU adapter: ${advice}` };
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get'))
    return { ok: false, message: `no WebGPU adapter: ${advice}` };
  log(`no WebGPU adapter; installing ${PACKAGE} (Mesa's software Vulkan driver, lavapipe)`);
  const backports = release.ID === 'debian' && release.VERSION_CODENAME === 'bookworm';
  if (backports) enableBackports(log);
  for (const args of [
    ['update', '-q'],
    [
      'install',
      '-y',
      '-q',
      '--no-install-recommends',
      ...(backports ? ['-t', 'bookworm-backports'] : []),
      PACKAGE,
      'libvulkan1',
    ],
  ]) {
    const run = await aptGet(args);
    if (run.code !== 0)
      return {
        ok: false,
        message: `no WebGPU adapter, and apt-get ${args[0]} failed (${run.code}):\n${run.tail}\n${advice}`,
      };
  }
  const second = await probe();
  if (second.adapter) return { ok: true, message: `WebGPU adapter: ${second.adapter} (${PACKAGE} installed)` };
  return { ok: false, message: `${PACKAGE} is installed, yet WebGPU finds no adapter: ${second.error ?? advice}` };
}

/** Asks Dawn for an adapter in a process of its own: a broken driver may crash or hang it. */
function probe() {
  const script = `
    const webgpu = await import('webgpu').catch((e) => { console.log(JSON.stringify({ missing: e.code === 'ERR_MODULE_NOT_FOUND', error: e.message })); process.exit(0); });
    const gpu = webgpu.create([]);
    const adapter = await gpu.requestAdapter();
    const i = adapter?.info;
    console.log(JSON.stringify(i ? { adapter: [i.vendor, i.architecture, i.device, i.description].filter(Boolean).join(' ') || 'unnamed' } : {}));
    process.exit(0);`;
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--input-type=module', '-e', script],
      { cwd, timeout: PROBE_LIMIT_MS, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        try {
          resolve(JSON.parse(stdout.trim().split('\n').at(-1)));
        } catch {
          resolve({ error: (stderr || error?.message || 'the probe said nothing').trim().slice(-500) });
        }
      },
    );
  });
}

function enableBackports(log) {
  const files = ['/etc/apt/sources.list', ...readdirSync(SOURCES).map((f) => join(SOURCES, f))].filter(
    (f) => /\.(list|sources)$/.test(f) && existsSync(f),
  );
  const texts = files.map((f) => readFileSync(f, 'utf8'));
  if (texts.some((t) => /^[^#\n]*\bbookworm-backports\b/m.test(t))) return;
  const mirror = texts.join('\n').match(/https?:\/\/[^\s]+\/debian\/?(?=\s)/)?.[0] ?? 'http://deb.debian.org/debian';
  log(`enabling bookworm-backports in ${BACKPORTS_FILE}`);
  writeFileSync(
    BACKPORTS_FILE,
    `Types: deb\nURIs: ${mirror}\nSuites: bookworm-backports\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n`,
  );
}

/** Runs apt-get without questions, waiting for another apt's lock; keeps the end of what it says. */
function aptGet(args) {
  return new Promise((resolve) => {
    let tail = '';
    const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: INSTALL_LIMIT_MS,
    });
    const keep = (chunk) => {
      tail = (tail + chunk).slice(-2000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (e) => resolve({ code: -1, tail: e.message }));
    child.on('close', (code, signal) => resolve({ code: code ?? signal, tail }));
  });
}

function osRelease() {
  try {
    const lines = readFileSync('/etc/os-release', 'utf8').split('\n');
    return Object.fromEntries(
      lines.flatMap((l) => (l.includes('=') ? [[l.split('=')[0], l.split('=')[1].replaceAll('"', '')]] : [])),
    );
  } catch {
    return {};
  }
}

function adviceFor(release) {
  if (process.platform !== 'linux') return "install or update the graphics driver; WebGPU uses the system's own";
  if (release.ID === 'debian' && release.VERSION_CODENAME === 'bookworm')
    return `install a GPU's Vulkan driver, or the software one: enable bookworm-backports, then sudo apt-get install -t bookworm-backports ${PACKAGE} libvulkan1`;
  if (/debian|ubuntu/.test(`${release.ID} ${release.ID_LIKE}`))
    return `install a GPU's Vulkan driver, or the software one: sudo apt-get install ${PACKAGE} libvulkan1`;
  return "install a Vulkan driver and loader, or Mesa's software one, lavapipe (Fedora: mesa-vulkan-drivers, Arch: vulkan-swrast)";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes('--check');
  const { ok, message } = await ensureVulkan({ install: !check });
  process.stderr.write(`${message}\n`);
  process.exit(ok || !(check || process.env.CI === 'true') ? 0 : 1);
}
