/**
 * Description files by name: what ships in the package (arch/, workloads/) by the stem of its file, a user's own by path.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError, unknownName } from '../base/errors.js';
import { parseJson } from '../base/json.js';
import { loadMachine, type Machine, type MachineSource, readMachine } from '../machine/load.js';
import type { ResolveExtends } from '../machine/tree.js';
import { readText } from './io.js';

/** Root of the package: dist/cli/files.js and src/cli/files.ts both stand two folders below it. */
export const PACKAGE_ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Largest description; a trace of ops may be longer. */
const DESCRIPTION_LIMIT_B = 4 * 1024 * 1024;
const TRACE_LIMIT_B = 256 * 1024 * 1024;

interface Shelf {
  readonly what: string;
  readonly folder: string;
  readonly extensions: readonly string[];
  readonly limit_B: number;
  /** Folders below it that hold something else. */
  readonly except?: readonly string[];
}

const SHELVES = {
  machines: {
    what: 'machine',
    folder: 'arch',
    extensions: ['.json'],
    limit_B: DESCRIPTION_LIMIT_B,
    except: ['components'],
  },
  components: {
    what: 'component table',
    folder: 'arch/components',
    extensions: ['.json'],
    limit_B: DESCRIPTION_LIMIT_B,
  },
  dram: { what: 'DRAM table', folder: 'arch/components/dram', extensions: ['.json'], limit_B: DESCRIPTION_LIMIT_B },
  models: { what: 'model', folder: 'workloads/models', extensions: ['.json'], limit_B: DESCRIPTION_LIMIT_B },
  traces: { what: 'trace', folder: 'workloads/traces', extensions: ['.jsonl'], limit_B: TRACE_LIMIT_B },
  spaces: { what: 'design space', folder: 'workloads/spaces', extensions: ['.json'], limit_B: DESCRIPTION_LIMIT_B },
  claims: { what: 'claim', folder: 'workloads/claims', extensions: ['.json'], limit_B: DESCRIPTION_LIMIT_B },
} as const satisfies Record<string, Shelf>;
export type ShelfName = keyof typeof SHELVES;

/** A file that was found and read. `file` is how messages call it. */
export interface Found {
  readonly name: string;
  readonly file: string;
  readonly path: string;
  readonly text: string;
}

/** Stem → path of everything on a shelf, sorted by name. */
function shelved(shelf: Shelf): Map<string, string> {
  const root = join(PACKAGE_ROOT, shelf.folder);
  const out = new Map<string, string>();
  if (!existsSync(root)) return out;
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((p) => shelf.extensions.includes(extname(p)))
    .filter((p) => !shelf.except?.includes(p.split(/[\\/]/)[0]!));
  for (const p of paths.sort()) out.set(basename(p, extname(p)), join(root, p));
  return new Map([...out].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function listFiles(shelf: ShelfName): string[] {
  return [...shelved(SHELVES[shelf]).keys()];
}

/**
 * Reads a shipped file by its stem or a user's by its path (anything with a separator, or an extension of the shelf).
 * A path is relative to `from` (a folder), by default the working directory.
 * @throws InputError when there is no such name or the file cannot be read, is empty or too large.
 */
export function findFile(shelf: ShelfName, nameOrPath: string, from = process.cwd()): Found {
  const { what, extensions, limit_B }: Shelf = SHELVES[shelf];
  if (nameOrPath.trim() === '') throw new InputError(`expected the name of a ${what} or a path`);
  const known = shelved(SHELVES[shelf]);
  let path = known.get(nameOrPath);
  const isPath = /[\\/]/.test(nameOrPath) || extensions.includes(extname(nameOrPath));
  if (path === undefined) {
    if (!isPath) throw unknownName(what, nameOrPath, [...known.keys()]);
    path = resolve(from, nameOrPath);
  }
  const file = isPath ? nameOrPath : relative(PACKAGE_ROOT, path);
  const text = readText(path, limit_B);
  if (text.trim() === '') throw new InputError('the file is empty', file);
  return { name: basename(path, extname(path)), file, path, text };
}

export const listMachines = (): string[] => listFiles('machines');
export const findMachine = (nameOrPath: string): Found => findFile('machines', nameOrPath);

/** `extends` names a component table, a machine, or a path relative to the file that says so. */
function extendsFrom(top: Found): ResolveExtends {
  const folders = new Map([[top.file, dirname(top.path)]]);
  const components = new Set(listFiles('components'));
  return (name, from) => {
    const found = findFile(components.has(name) ? 'components' : 'machines', name, folders.get(from));
    // two files of one name in different folders must not be taken for each other
    const file = folders.has(found.file) && folders.get(found.file) !== dirname(found.path) ? found.path : found.file;
    folders.set(file, dirname(found.path));
    return { text: found.text, file };
  };
}

/** Reads, checks and lowers a machine by name or path, with overrides "path=value". */
export async function openMachine(nameOrPath: string, set: readonly string[] = []): Promise<Machine> {
  const found = findMachine(nameOrPath);
  return loadMachine(found.text, { file: found.file, set, resolveExtends: extendsFrom(found) });
}

/** Reads a machine for many resolutions (see `resolveMachine`). */
export async function openMachineSource(nameOrPath: string): Promise<MachineSource> {
  const found = findMachine(nameOrPath);
  return readMachine(found.text, { file: found.file, resolveExtends: extendsFrom(found) });
}

/** JSON of a file on a shelf. @throws InputError with line and column. */
export function findJson(shelf: ShelfName, nameOrPath: string): Found & { json: unknown } {
  const found = findFile(shelf, nameOrPath);
  return { ...found, json: parseJson(found.text, found.file).value };
}
