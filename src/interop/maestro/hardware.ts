/** MAESTRO's hardware file: a name and a number a line. */
import { InputError, unknownName } from '../../base/errors.js';
import { tokensOf } from './network.js';

export interface MaestroHardware {
  readonly pes: number;
  /** Multiply–accumulates a PE does a cycle. */
  readonly lanes: number;
  /** Of every level's network. */
  readonly noc_words_per_cycle: number;
  readonly noc_latency_cycles: number;
  readonly l1_words: number;
  readonly l2_words: number;
  readonly offchip_words_per_cycle: number;
}

// What is not given does not bind; num_simd_lanes is an option of the tool's command line, read here as well.
const FIELDS: Readonly<Record<string, { readonly field: keyof MaestroHardware; readonly least: number }>> = {
  num_pes: { field: 'pes', least: 1 },
  num_simd_lanes: { field: 'lanes', least: 1 },
  noc_bw_cstr: { field: 'noc_words_per_cycle', least: 1 },
  NoC_NumHops: { field: 'noc_latency_cycles', least: 0 },
  l1_size_cstr: { field: 'l1_words', least: 1 },
  l2_size_cstr: { field: 'l2_words', least: 1 },
  offchip_bw_cstr: { field: 'offchip_words_per_cycle', least: 1 },
};

/**
 * A word is an element, taken as one byte by the tool; a hop takes one cycle.
 * @throws InputError with FILE:LINE
 */
export function parseMaestroHardware(text: string, file: string): MaestroHardware {
  const found: Partial<Record<keyof MaestroHardware, number>> = {};
  const tokens = tokensOf(text);
  for (let i = 0; i < tokens.length; i += 2) {
    const [name, value] = [tokens[i]!, tokens[i + 1]];
    const place = `${file}:${name.line}`;
    if (!Object.hasOwn(FIELDS, name.text)) throw unknownName('field', name.text, Object.keys(FIELDS), place);
    const { field, least } = FIELDS[name.text]!;
    const n = Number(value?.text ?? Number.NaN);
    if (!Number.isSafeInteger(n) || n < least)
      throw new InputError(`${name.text} is '${value?.text ?? ''}': expected a whole number ≥ ${least}`, place);
    found[field] = n;
  }
  if (found.pes === undefined) throw new InputError('it does not say num_pes', file);
  const free = Number.POSITIVE_INFINITY;
  return {
    lanes: 1,
    noc_words_per_cycle: free,
    noc_latency_cycles: 1,
    l1_words: free,
    l2_words: free,
    offchip_words_per_cycle: free,
    ...found,
    pes: found.pes,
  };
}
