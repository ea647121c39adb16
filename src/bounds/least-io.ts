/**
 * The least bytes that any schedule of an op must move across a boundary with `capacity_B` of fast memory on the near
 * side: the larger of the compulsory traffic (each input read once, each result written once) and what the op's family
 * says. One family per file; the registry names them all.
 */
import { compulsoryBytesOf, type Op, type OpKind, type OpOf } from '../workload/op.js';
import { attentionBackwardTerms, attentionTerms } from './families/attention.js';
import { convolutionTerms } from './families/convolution.js';
import { fftTerm } from './families/fft.js';
import { groupedTerms, matmulTerms } from './families/matmul.js';
import { rowTerms } from './families/rows.js';
import { compulsory, strongest, type Term } from './term.js';

export interface LeastIo {
  readonly bytes: number;
  readonly compulsory_B: number;
  readonly formula: string;
  readonly source: string;
  /** For which schedules it holds. */
  readonly range: string;
}

type Family<K extends OpKind> = (
  op: OpOf<K>,
  capacity_B: number,
  cores: number,
  compulsory_B: number,
) => readonly Term[];

/** Ops that use each element for one result (or for one row of results) move no more than the compulsory bytes. */
const streams = (): readonly Term[] => [];

/** What each kind of op moves beyond its compulsory traffic. */
export const FAMILIES = {
  matmul: matmulTerms,
  grouped_matmul: groupedTerms,
  attention: attentionTerms,
  attention_backward: attentionBackwardTerms,
  conv2d: convolutionTerms,
  conv3d: convolutionTerms,
  softmax: (op, M, cores, least_B) => rowTerms(op.rows, op.cols, op.dtype, M * cores, least_B),
  normalise: (op, M, cores, least_B) => rowTerms(op.rows, op.cols, op.dtype, M * cores, least_B),
  elementwise: streams,
  rotary: streams,
  kv_append: streams,
  gather: streams,
  scatter: streams,
  topk: streams,
  transpose: streams,
  fft: (op, M, cores) => [fftTerm(op, M, cores)],
  reduce: streams,
  collective: streams,
  optimiser: streams,
  // nothing is known of it but what goes in and comes out
  custom: streams,
} satisfies { readonly [K in OpKind]: Family<K> };

/** Every bound that holds for the op, compulsory traffic first. */
export function termsOf(op: Op, capacity_B: number, cores = 1): [Term, ...Term[]] {
  const { read_B, write_B } = compulsoryBytesOf(op);
  const family = FAMILIES[op.kind] as Family<OpKind>;
  return [compulsory(read_B + write_B), ...family(op, capacity_B, cores, read_B + write_B)];
}

/** `cores` that share the work, each with `capacity_B` of its own: what they move together. */
export function leastIo(op: Op, capacity_B: number, cores = 1): LeastIo {
  const terms = termsOf(op, capacity_B, cores);
  return { ...strongest(terms), compulsory_B: terms[0].bytes };
}
