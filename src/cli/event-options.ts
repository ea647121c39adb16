/** What only the event engine takes: memory with state, and what index tensors hold. */
import { type Command, Option } from 'commander';
import { InputError, unknownName } from '../base/errors.js';
import { INDEX_KINDS, type Indices } from '../engine/event/indices.js';
import { USUAL_CACHE } from '../engine/memory/hierarchy.js';
import type { RunOptions } from '../engine/run.js';
import { isFile, readText } from './io.js';
import { openMemory } from './memory-parts.js';
import { wholeNumber } from './options.js';

const MOST_REQUESTS = 4_000_000;

export interface EventOptions {
  readonly fidelity: string;
  /** Bandwidth when absent. */
  readonly memory?: 'bandwidth' | 'stateful';
  readonly memoryRequests?: number;
  readonly indices?: string;
  readonly seed?: number;
}

export function eventOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--memory <model>',
        'under event: cache and DRAM by blocks and bandwidth, or stateful, every line with its address',
      )
        .choices(['bandwidth', 'stateful'])
        .default('bandwidth'),
    )
    .addOption(
      new Option(
        '--memory-requests <n>',
        'lines and bursts of a launch worked through one by one; beyond, some channels stand for all',
      )
        .argParser(wholeNumber(1000, 1e12))
        .default(MOST_REQUESTS),
    )
    .option(
      '--indices <what>',
      'under event, rows of gathers and scatters: uniform, zipf[:exponent], sorted, paged[:rows], or a file of numbers',
    );
}

/**
 * What `event` is to run with.
 * @throws InputError where the machine has no cache before its DRAM, or no table describes that, or the fidelity is another
 */
export async function openEventOptions(
  machine: string,
  set: readonly string[],
  options: EventOptions,
): Promise<RunOptions> {
  const indices = options.indices === undefined ? undefined : indicesOf(options.indices, options.seed ?? 0);
  if (indices) needsEvent(options, '--indices');
  if (options.memory !== 'stateful') return { ...(indices && { indices }) };
  needsEvent(options, '--memory stateful');
  const { dram, cache, near } = await openMemory({ machine, set, reading: 'dramsim3', ...USUAL_CACHE });
  if (!cache) throw new InputError(`--memory stateful: ${machine} has no cache before its DRAM`);
  return {
    memory: { dram, cache, ...(near && { near }), most_requests: options.memoryRequests ?? MOST_REQUESTS },
    ...(indices && { indices }),
  };
}

/** @throws InputError when an option asks for what only the event engine gives. */
export function needsEvent(options: { readonly fidelity: string }, what: string): void {
  if (options.fidelity !== 'event') throw new InputError(`${what} needs --fidelity event`);
}

function indicesOf(text: string, seed: number): Indices {
  const place = `--indices ${text}`;
  const [kind = '', parameter] = text.split(':', 2);
  const value = parameter === undefined ? undefined : Number(parameter);
  const takes = (what: string, fine: (x: number) => boolean, fallback: number): number => {
    if (value === undefined) return fallback;
    if (!fine(value)) throw new InputError(`expected ${what} after the colon, got '${parameter}'`, place);
    return value;
  };
  switch (kind) {
    case 'uniform':
    case 'sorted':
      if (parameter !== undefined) throw new InputError(`${kind} takes no parameter`, place);
      return { kind, seed };
    case 'zipf':
      return { kind, seed, exponent: takes('an exponent above 0, up to 10', (x) => x > 0 && x <= 10, 1) };
    case 'paged':
      return { kind, seed, page: takes('rows of a page, a whole number', (x) => Number.isInteger(x) && x > 0, 16) };
    default: {
      if (!/[\\/.]/.test(text) && !isFile(text)) throw unknownName('kind of indices', kind, INDEX_KINDS, place);
      const words = readText(text)
        .split(/[\s,]+/)
        .filter((w) => w !== '');
      const wrong = words.findIndex((w) => !/^\d+$/.test(w));
      if (words.length === 0 || wrong >= 0)
        throw new InputError(
          words.length === 0 ? 'no numbers in it' : `expected whole numbers, the ${wrong + 1}. is '${words[wrong]}'`,
          text,
        );
      return { kind: 'given', file: text, values: Float64Array.from(words, Number) };
    }
  }
}
