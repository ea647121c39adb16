/**
 * A user's own kernel from a file outside the package. `import … from 'tilewright'` in it gives this very package,
 * wherever the file lies and whether or not anything is installed there.
 *
 * JavaScript (.mjs, .js) always; TypeScript (.ts, .mts) where Node strips types itself (22.18 and later) or where
 * esbuild is installed beside this package.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { createRequire, register } from 'node:module';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InputError } from '../base/errors.js';
import type { AnyKernel } from '../kernel/library/index.js';
import { checkKernel } from '../kernel/user.js';

const SCRIPT = ['.mjs', '.js'];
const TYPED = ['.ts', '.mts'];

/** Whether a name of a kernel is the path of a file: it has a separator or ends like a script. */
export const isKernelFile = (name: string): boolean =>
  /[\\/]/.test(name) || [...SCRIPT, ...TYPED, '.cjs', '.cts'].includes(extname(name));

/** @throws InputError naming the file (and the line, where the text is no program) */
export async function loadUserKernel(path: string): Promise<AnyKernel> {
  const file = resolve(path);
  if (!existsSync(file)) throw new InputError('no such file', path);
  if (!statSync(file).isFile()) throw new InputError('is a folder, expected a file with a kernel', path);
  const kind = extname(file);
  if (![...SCRIPT, ...TYPED].includes(kind))
    throw new InputError(`is a '${kind}' file; a kernel is an ES module: ${[...SCRIPT, ...TYPED].join(', ')}`, path);
  const esbuild = esbuildUrl();
  const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);
  if (TYPED.includes(kind) && !stripsTypes && !esbuild)
    throw new InputError(
      `TypeScript needs Node 22.18 or later, or esbuild beside tilewright; or make it JavaScript: npx esbuild ${path} --outfile=${path.replace(/\.m?ts$/, '.mjs')}`,
      path,
    );
  hook(stripsTypes ? undefined : esbuild);
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(file).href)) as { default?: unknown };
  } catch (error) {
    throw new InputError(`cannot be loaded: ${said(error, file)}`, path);
  }
  return checkKernel(module.default, path);
}

function esbuildUrl(): string | undefined {
  try {
    return pathToFileURL(createRequire(import.meta.url).resolve('esbuild')).href;
  } catch {
    return undefined;
  }
}

let hooked = false;

/** Hooks of module loading run in a thread of their own, from text: they know nothing but what they are given. */
function hook(esbuild: string | undefined): void {
  if (hooked) return;
  hooked = true;
  const source = `
    import { readFile } from 'node:fs/promises';
    let known;
    export function initialize(data) { known = data; }
    export function resolve(specifier, context, next) {
      return specifier === 'tilewright' ? { url: known.index, shortCircuit: true } : next(specifier, context);
    }
    export async function load(url, context, next) {
      if (known.esbuild && /^file:.*\\.m?ts$/.test(url)) {
        const { transform } = (await import(known.esbuild)).default;
        const text = await readFile(new URL(url), 'utf8');
        const { code } = await transform(text, { loader: 'ts', format: 'esm', sourcefile: url });
        return { format: 'module', source: code, shortCircuit: true };
      }
      return next(url, context);
    }`;
  register(`data:text/javascript,${encodeURIComponent(source)}`, {
    data: { index: new URL('../index.js', import.meta.url).href, esbuild },
  });
}

/** The message, with the line where the text is no program. */
function said(error: unknown, file: string): string {
  if (!(error instanceof Error)) return String(error);
  const lines = error.message.split('\n');
  const missing = /does not provide an export named '?(\w+)'?/.exec(lines[0]!)?.[1];
  if (missing) return `'${missing}' is none of what tilewright exports`;
  // esbuild says in its second line what is wrong, and where
  if (lines[0]!.startsWith('Transform failed'))
    return (lines[1] ?? lines[0]!).replace(/^.*?:(\d+):\d+: ERROR/, 'line $1');
  if (!(error instanceof SyntaxError)) return lines[0]!;
  // the error itself keeps the line from programs; Node's own check prints it
  const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' });
  const line = /:(\d+)$/m.exec(stderr)?.[1];
  return `${line ? `line ${line}: ` : ''}${lines[0]}`;
}
