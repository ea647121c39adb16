/** Whole models traced operator by operator by a framework, beside the expansion. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { expandWorkload } from '../../src/workload/expand/index.js';
import type { Trace } from '../../src/workload/op.js';
import { parseWorkloadSpec } from '../../src/workload/spec.js';
import { model } from './models.js';

const FOLDER = new URL('../../../shared/golden/workloads/', import.meta.url);

/** Golden file, and the spec that is the same computation. */
const CASES: [string, string][] = [
  ['bert_base_s512', 'bert-base:forward,seq=512'],
  ['bert_large_s512', 'bert-large:forward,seq=512'],
  ['gpt2_s1024', 'gpt-2:prefill,seq=1024,logits=all'],
  ['gpt3_175b_s2048', 'gpt-3-175b:prefill,seq=2048,logits=all'],
  ['opt_6.7b_s2048', 'opt-6.7b:prefill,seq=2048,logits=all'],
  ['opt_13b_s2048', 'opt-13b:prefill,seq=2048,logits=all'],
  ['opt_30b_s2048', 'opt-30b:prefill,seq=2048,logits=all'],
  ['llama2_7b_s2048', 'llama-2-7b:prefill,seq=2048,logits=all'],
  ['llama2_13b_s2048', 'llama-2-13b:prefill,seq=2048,logits=all'],
  ['llama2_70b_s2048', 'llama-2-70b:prefill,seq=2048,logits=all'],
  ['llama31_8b_s2048', 'llama-3.1-8b:prefill,seq=2048,logits=all'],
  ['llama31_70b_s2048', 'llama-3.1-70b:prefill,seq=2048,logits=all'],
  ['qwen3_8b_s2048', 'qwen3-8b:prefill,seq=2048,logits=all'],
  ['qwen3_32b_s2048', 'qwen3-32b:prefill,seq=2048,logits=all'],
  ['t5_small_s512', 't5-small:forward,seq=512,output=512'],
  ['vit_b16_224', 'vit-b-16:forward'],
];

interface GoldenOp {
  kind: string;
  count: number;
  macs_each: number;
  b?: number;
  m?: number;
  n?: number;
  k?: number;
}

/** Multiply–adds by the golden convention: causal attention is not halved. */
function macs(trace: Trace, kind: 'gemm' | 'bmm'): number {
  let sum = 0;
  for (const op of trace.ops) {
    if (kind === 'gemm' && op.kind === 'matmul') sum += op.repeat * op.batch * op.m * op.n * op.k;
    if (kind === 'bmm' && op.kind === 'attention')
      sum += op.repeat * 2 * op.batch * op.heads * op.q_len * op.kv_len * op.head_dim;
  }
  return sum;
}

/** Rotary angles are an outer product in the traced code; here they are part of `rotary`. */
const isAngles = (op: GoldenOp) => op.kind === 'bmm' && op.k === 1;

for (const [file, text] of CASES) {
  const url = new URL(`${file}.json`, FOLDER);
  describe.skipIf(!existsSync(url))(`${file}: the golden trace in ../shared/golden and ${text}`, () => {
    const golden = () => JSON.parse(readFileSync(url, 'utf8')) as { params: number; macs: number; ops: GoldenOp[] };
    const spec = parseWorkloadSpec(text);
    const trace = expandWorkload(model(spec.model), spec);

    test('parameters are equal', () => expect(trace.parameters).toBe(golden().params));

    test('multiply–adds are equal, in products and in attention', () => {
      const sum = (kind: string) =>
        golden()
          .ops.filter((op) => op.kind === kind && !isAngles(op))
          .reduce((s, op) => s + op.count * op.macs_each, 0);
      expect(macs(trace, 'gemm')).toBe(sum('gemm'));
      expect(macs(trace, 'bmm')).toBe(sum('bmm'));
    });

    test('the shapes of products are the same, once fused projections are taken apart', () => {
      const { heads, kv_heads, head_dim } = model(spec.model).attention;
      const { gated } = model(spec.model).ffn;
      const shapes = new Map<string, number>();
      const count = (m: number, n: number, k: number, times: number) =>
        shapes.set(`${m}x${n}x${k}`, (shapes.get(`${m}x${n}x${k}`) ?? 0) + times);
      // GPT-2 and GPT-3 were traced with one projection for queries, keys and values
      const whole = /^gpt/.test(file);
      for (const op of trace.ops) {
        if (op.kind !== 'matmul') continue;
        if (op.name.endsWith('.qkv_proj') && !whole) {
          count(op.m, heads * head_dim, op.k, op.repeat);
          count(op.m, kv_heads * head_dim, op.k, 2 * op.repeat);
        } else if (op.name.endsWith('.kv_proj')) count(op.m, kv_heads * head_dim, op.k, 2 * op.repeat);
        else if (op.name.endsWith('.gate_up_proj') && gated) count(op.m, op.n / 2, op.k, 2 * op.repeat);
        else count(op.m, op.n, op.k, op.repeat);
      }
      const expected = new Map<string, number>();
      for (const op of golden().ops)
        if (op.kind === 'gemm') {
          const key = `${op.m}x${op.n}x${op.k}`;
          expected.set(key, (expected.get(key) ?? 0) + op.count);
        }
      expect([...shapes].sort()).toEqual([...expected].sort());
    });
  });
}
