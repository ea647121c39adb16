/** A few traces, line by line: what is fused, what reads what, and every dimension. */
import { expect, test } from 'vitest';
import { expandWorkload } from '../../src/workload/expand/index.js';
import type { Op } from '../../src/workload/op.js';
import { parseWorkloadSpec } from '../../src/workload/spec.js';
import { model } from './models.js';

const FLAGS = ['causal', 'cached', 'bias', 'residual', 'relative_bias', 'weights'];

/** `repeat× name kind dims [flags] <- deps`, with `layer.` as `~`. */
function line(op: Op): string {
  const { kind, id, name, repeat, deps, phase, ...rest } = op;
  const short = (text: string) => text.replace(/^(layer|decoder)\./, '~');
  const facts = Object.entries(rest).flatMap(([key, value]) => {
    if (FLAGS.includes(key)) return value ? [key] : [];
    if (value === 'none' || value === 'bf16' || key === 'accumulate' || (key === 'batch' && value === 1)) return [];
    if (key === 'window' && value === 0) return [];
    return [`${key}=${Array.isArray(value) ? value.join('/') : value}`];
  });
  return `${repeat}× ${short(id)} ${kind} ${facts.join(' ')} <- ${deps.map(short).join(' ')}`.trimEnd();
}

function lines(text: string): string[] {
  const spec = parseWorkloadSpec(text);
  return expandWorkload(model(spec.model), spec).ops.map(line);
}

test('a decode step of Llama-2-7B', () => {
  expect(lines('llama-2-7b:decode,batch=8,context=2048')).toEqual([
    '1× embedding.tokens gather rows=8 cols=4096 table_rows=32000 <-',
    '32× ~attention.norm normalise norm=rms rows=8 cols=4096 <- embedding.tokens',
    '32× ~attention.qkv_proj matmul m=8 n=12288 k=4096 weights <- ~attention.norm',
    '32× ~attention.rotary rotary rows=8 heads=64 head_dim=128 <- ~attention.qkv_proj',
    '32× ~attention.kv_append kv_append rows=8 cols=8192 <- ~attention.rotary ~attention.qkv_proj',
    '32× ~attention.core attention batch=8 heads=32 kv_heads=32 q_len=1 kv_len=2048 head_dim=128 causal cached <- ~attention.rotary ~attention.qkv_proj ~attention.kv_append',
    '32× ~attention.out_proj matmul m=8 n=4096 k=4096 weights residual <- ~attention.core embedding.tokens',
    '32× ~ffn.norm normalise norm=rms rows=8 cols=4096 <- ~attention.out_proj',
    '32× ~ffn.gate_up_proj matmul m=8 n=22016 k=4096 weights <- ~ffn.norm',
    '32× ~ffn.swiglu elementwise fn=swiglu n=88064 <- ~ffn.gate_up_proj',
    '32× ~ffn.down_proj matmul m=8 n=4096 k=11008 weights residual <- ~ffn.swiglu ~attention.out_proj',
    '1× final_norm normalise norm=rms rows=8 cols=4096 <- ~ffn.down_proj',
    '1× head.logits matmul m=8 n=32000 k=4096 weights <- final_norm',
  ]);
});

test('the routed layer of Qwen3-30B-A3B on two devices', () => {
  const all = lines('qwen3-30b-a3b:decode,batch=2,context=100,tp=2,weights=fp8');
  expect(all.filter((text) => /^48× ~(ffn|attention.qk|attention.core)/.test(text))).toEqual([
    '48× ~attention.qkv_proj matmul m=2 n=2560 k=2048 b=fp8_e4m3 weights <- ~attention.norm',
    '48× ~attention.qk_norm normalise norm=rms rows=36 cols=128 <- ~attention.qkv_proj',
    '48× ~attention.core attention batch=2 heads=16 kv_heads=2 q_len=1 kv_len=100 head_dim=128 causal cached <- ~attention.rotary ~attention.qkv_proj ~attention.kv_append',
    '48× ~ffn.norm normalise norm=rms rows=2 cols=2048 <- ~attention.all_reduce',
    '48× ~ffn.router matmul m=2 n=128 k=2048 b=fp8_e4m3 weights <- ~ffn.norm',
    '48× ~ffn.topk topk rows=2 cols=128 k=8 <- ~ffn.router',
    '48× ~ffn.permute gather rows=16 cols=2048 table_rows=2 <- ~ffn.norm ~ffn.topk',
    '48× ~ffn.gate_up_proj grouped_matmul groups=16 rows=16 n=768 k=2048 b=fp8_e4m3 <- ~ffn.permute ~ffn.topk',
    '48× ~ffn.swiglu elementwise fn=swiglu n=6144 <- ~ffn.gate_up_proj',
    '48× ~ffn.down_proj grouped_matmul groups=16 rows=16 n=2048 k=384 b=fp8_e4m3 <- ~ffn.swiglu ~ffn.topk',
    '48× ~ffn.combine scatter rows=16 cols=2048 fan_in=8 <- ~ffn.down_proj ~ffn.topk',
    '48× ~ffn.all_reduce collective collective=all_reduce elements=4096 devices=2 <- ~ffn.combine',
    '48× ~ffn.residual elementwise fn=add n=4096 <- ~ffn.all_reduce ~attention.all_reduce',
  ]);
});

test('a decoder step of T5-small for a batch of three', () => {
  expect(lines('t5-small:decode,batch=3,seq=40,context=7').slice(0, 12)).toEqual([
    '1× ~embedding.tokens gather rows=3 cols=512 table_rows=32128 <-',
    '1× ~relative_bias gather rows=7 cols=8 table_rows=32 <-',
    '6× ~attention.norm normalise norm=rms rows=3 cols=512 <- ~embedding.tokens',
    '6× ~attention.qkv_proj matmul m=3 n=1536 k=512 weights <- ~attention.norm',
    '6× ~attention.kv_append kv_append rows=3 cols=1024 <- ~attention.qkv_proj',
    '6× ~attention.core attention batch=3 heads=8 kv_heads=8 q_len=1 kv_len=7 head_dim=64 causal relative_bias cached <- ~attention.qkv_proj ~attention.kv_append ~relative_bias',
    '6× ~attention.out_proj matmul m=3 n=512 k=512 weights residual <- ~attention.core ~embedding.tokens',
    '6× ~cross.norm normalise norm=rms rows=3 cols=512 <- ~attention.out_proj',
    '6× ~cross.q_proj matmul m=3 n=512 k=512 weights <- ~cross.norm',
    '6× ~cross.core attention batch=3 heads=8 kv_heads=8 q_len=1 kv_len=40 head_dim=64 cached <- ~cross.q_proj',
    '6× ~cross.out_proj matmul m=3 n=512 k=512 weights residual <- ~cross.core ~attention.out_proj',
    '6× ~ffn.norm normalise norm=rms rows=3 cols=512 <- ~cross.out_proj',
  ]);
});

test('BERT normalises behind each sum, and its biases and activation are in the products', () => {
  const all = lines('bert-base:prefill,batch=2,seq=8,dtype=bf16');
  expect(all.slice(5)).toEqual([
    '1× embedding.norm normalise norm=layer rows=16 cols=768 <- embedding.add_segments',
    '12× ~attention.qkv_proj matmul m=16 n=2304 k=768 weights bias <- embedding.norm',
    '12× ~attention.core attention batch=2 heads=12 kv_heads=12 q_len=8 kv_len=8 head_dim=64 <- ~attention.qkv_proj',
    '12× ~attention.out_proj matmul m=16 n=768 k=768 weights bias residual <- ~attention.core embedding.norm',
    '12× ~attention.norm normalise norm=layer rows=16 cols=768 <- ~attention.out_proj',
    '12× ~ffn.up_proj matmul m=16 n=3072 k=768 weights bias activation=gelu <- ~attention.norm',
    '12× ~ffn.down_proj matmul m=16 n=768 k=3072 weights bias residual <- ~ffn.up_proj ~attention.norm',
    '12× ~ffn.norm normalise norm=layer rows=16 cols=768 <- ~ffn.down_proj',
    '1× head.rows gather rows=2 cols=768 table_rows=16 <- ~ffn.norm',
    '1× head.pooler matmul m=2 n=768 k=768 weights bias activation=tanh <- head.rows',
  ]);
});
