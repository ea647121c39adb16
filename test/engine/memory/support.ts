/** DRAM tables as shipped, and the shared reference results. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { ChannelSink } from '../../../src/engine/memory/dram/channel.js';
import type { DramSpec } from '../../../src/engine/memory/dram/spec.js';
import { type DramFit, readDramTable } from '../../../src/engine/memory/dram/table.js';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const FOLDER = join(ROOT, 'arch', 'components', 'dram');
export const TABLES = readdirSync(FOLDER)
  .map((file) => basename(file, '.json'))
  .sort();

const text = (name: string) => ({ text: readFileSync(join(FOLDER, `${name}.json`), 'utf8'), file: `${name}.json` });

export const table = (name: string, fit?: DramFit): Promise<DramSpec> =>
  readDramTable(text(name).text, `${name}.json`, { ...(fit && { fit }), resolveExtends: text });

/** Without refresh, and with whatever else is to differ. */
export function altered(spec: DramSpec, controller: Partial<DramSpec['controller']>): DramSpec {
  return { ...spec, controller: { ...spec.controller, ...controller } };
}

export const GOLDEN = resolve(ROOT, '..', 'shared', 'golden', 'dramsim3');
export const HAS_GOLDEN = existsSync(join(GOLDEN, 'results.csv'));

export const quiet = (over: Partial<ChannelSink> = {}): ChannelSink => ({
  readDone() {},
  writeDone() {},
  burst() {},
  ...over,
});

/** The same numbers below 2^32 in every run. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}
