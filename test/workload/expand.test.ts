import { describe, expect, test } from 'vitest';
import { expandWorkload } from '../../src/workload/expand/index.js';
import { evenRows, expertsTouched } from '../../src/workload/expand/moe.js';
import { flopsOf, type Op, type OpKind, type OpOf, type Trace } from '../../src/workload/op.js';
import { opFault } from '../../src/workload/op-check.js';
import { PHASE_KEYS } from '../../src/workload/resolve.js';
import { shardsOf } from '../../src/workload/shard.js';
import { parseWorkloadSpec } from '../../src/workload/spec.js';
import { isMatrix, summarise, weightBytesOf } from '../../src/workload/summary.js';
import { model, modelNames } from './models.js';

const expand = (text: string): Trace => {
  const spec = parseWorkloadSpec(text);
  return expandWorkload(model(spec.model), spec);
};
const total = (trace: Trace) => summarise(trace).at(-1)!;
const opsOf = <K extends OpKind>(trace: Trace, kind: K) => trace.ops.filter((op) => op.kind === kind) as OpOf<K>[];
const named = (trace: Trace, name: string) => trace.ops.find((op) => op.name === name)!;
const matrixFlops = (ops: readonly Op[]) => ops.filter(isMatrix).reduce((sum, op) => sum + flopsOf(op) * op.repeat, 0);

describe('every model, in every phase', () => {
  for (const name of modelNames())
    for (const phase of Object.keys(PHASE_KEYS[model(name).kind]).filter((p) => p !== 'train' || !model(name).experts))
      test(`${name}:${phase} is a valid, ordered trace`, () => {
        const trace = expand(`${name}:${phase}`);
        const seen = new Set<string>();
        for (const op of trace.ops) {
          for (const dep of op.deps) expect(seen.has(dep), `${op.id} depends on ${dep}`).toBe(true);
          expect(seen.has(op.id), op.id).toBe(false);
          seen.add(op.id);
          expect(opFault(op)).toBeUndefined();
        }
        // nothing is computed in vain: every op but the last is read, save those whose result is the cache
        const read = new Set(trace.ops.flatMap((op) => op.deps));
        for (const op of trace.ops.slice(0, -1)) expect(read.has(op.id), `${op.id} is not read`).toBe(true);
        expect(trace.parameters).toBeGreaterThan(1e6);
      });
});

describe('published totals', () => {
  test('a product with every parameter costs 2 FLOPs a token: Llama-2-7B', () => {
    const trace = expand('llama-2-7b:prefill,batch=2,seq=128,logits=all');
    const linear = 6_738_415_616 - 32_000 * 4096 - 65 * 4096;
    const attention = 32 * 4 * 2 * ((128 * 129) / 2) * 4096;
    expect(matrixFlops(trace.ops)).toBe(2 * linear * 256 + attention);
  });
  test('ViT-B/16 takes 17.56 GMAC an image (Dosovitskiy et al. with attention products counted)', () => {
    expect(total(expand('vit-b-16:forward')).matrix_flops / 2e9).toBeCloseTo(17.56, 2);
  });
  test('BERT-large, 512 tokens: 167.50 GMAC', () => {
    expect(total(expand('bert-large:forward,seq=512')).matrix_flops / 2e9).toBeCloseTo(167.5, 2);
  });
  test('T5-small, 512 + 512 tokens: 35.80 GMAC when the causal half is not halved', () => {
    const trace = expand('t5-small:forward,seq=512,output=512');
    const skipped = 6 * 4 * ((512 * 511) / 2) * 512;
    expect((total(trace).matrix_flops + skipped) / 2e9).toBeCloseTo(35.8, 2);
  });
  test('Qwen3-30B-A3B: 3.04 GMAC a token in products (3.3B active parameters, less the token table)', () => {
    const trace = expand('qwen3-30b-a3b:prefill,seq=64,logits=all');
    const products = trace.ops.filter((op) => op.kind === 'matmul' || op.kind === 'grouped_matmul');
    expect(matrixFlops(products) / 2 / 64 / 1e9).toBeCloseTo(3.04, 2);
  });
  test('GPT-3 reads its 2 bytes a weight each decode step', () => {
    const { weights_B } = total(expand('gpt-3-175b:decode,context=100'));
    expect(weights_B / 2).toBe(174_604_259_328 - 2048 * 12288 - vectorsOfGpt3());
  });
});

/** Norms (2 a layer and a final one) and the biases of four products. */
function vectorsOfGpt3(): number {
  const h = 12_288;
  return 96 * (2 * 2 * h + 3 * h + h + 4 * h + h) + 2 * h;
}

describe('the cache', () => {
  test.each([
    // 2 (keys and values) · layers · kv_heads · head_dim · bytes a token
    ['llama-2-7b:decode,context=2048', 2 * 32 * 32 * 128 * 2 * 2048],
    ['llama-2-70b:decode,batch=4,context=100', 2 * 80 * 8 * 128 * 2 * 400],
    ['llama-2-70b:decode,batch=4,context=100,kv=fp8', 2 * 80 * 8 * 128 * 400],
    ['llama-2-70b:decode,context=100,tp=8', 2 * 80 * 128 * 2 * 100],
    ['llama-2-7b:prefill,lens=100/200/300', 2 * 32 * 32 * 128 * 2 * 600],
    ['gpt-2:generate,prompt=10,output=6', 2 * 12 * 768 * 2 * 15],
    ['t5-small:generate,prompt=10,output=6', 2 * 6 * 512 * 2 * 16],
    ['bert-base:forward', 0],
  ])('%s holds %i bytes', (text, bytes) => expect(expand(text).footprint_B.kv_cache).toBe(bytes));

  test('a decode step reads all of it and adds one token', () => {
    const trace = expand('llama-2-70b:decode,batch=4,context=100');
    const token = 2 * 80 * 8 * 128 * 2 * 4;
    expect(total(trace).kv_B).toBe(token * 100 + token);
  });
});

describe('generation', () => {
  const strip = (op: Op) => {
    const { id, deps, repeat, phase, name, ...rest } = op;
    return { key: JSON.stringify({ ...rest, name: name.replace(/@.*/, '') }), repeat };
  };
  const tally = (traces: Trace[]) => {
    const counts = new Map<string, number>();
    for (const { ops } of traces)
      for (const op of ops) {
        const { key, repeat } = strip(op);
        counts.set(key, (counts.get(key) ?? 0) + repeat);
      }
    return [...counts].sort();
  };

  test.each([
    ['llama-2-7b', 'batch=3', '', 40, 5],
    ['llama-2-70b', 'batch=2,tp=4,weights=int8,kv=fp8', '', 100, 70],
    ['qwen3-30b-a3b', 'batch=5', '', 10, 3],
    ['gpt-2', 'batch=1', '', 7, 2],
    ['gpt-2', 'batch=1', '', 7, 1],
  ])('%s,%s is exactly its prefill and each of its steps', (name, options, _, prompt, output) => {
    const whole = expand(`${name}:generate,${options},prompt=${prompt},output=${output}`);
    const parts = [expand(`${name}:prefill,${options},seq=${prompt}`)];
    for (let i = 1; i < output; i++) parts.push(expand(`${name}:decode,${options},context=${prompt + i}`));
    expect(tally([whole])).toEqual(tally(parts));
  });

  test('ragged prompts grow together', () => {
    const whole = expand('llama-2-7b:generate,lens=10/30/30,output=3');
    const parts = ['prefill,lens=10/30/30', 'decode,lens=11/31/31', 'decode,lens=12/32/32'];
    expect(tally([whole])).toEqual(tally(parts.map((p) => expand(`llama-2-7b:${p}`))));
  });

  test('decode waits for the token of the prefill', () => {
    const trace = expand('gpt-2:generate,prompt=7,output=3');
    expect(trace.ops.find((op) => op.id === 'decode.embedding.tokens')!.deps).toEqual(['prefill.head.logits']);
  });

  test('of T5 reads the prompt once and runs the decoder once a token', () => {
    const trace = expand('t5-small:generate,prompt=20,output=4');
    const own = opsOf(trace, 'attention').filter((op) => op.name.startsWith('decoder.attention'));
    expect(own.map((op) => op.kv_len)).toEqual([1, 2, 3, 4]);
    expect(named(trace, 'decoder.cross.kv_proj').repeat).toBe(6);
    expect(named(trace, 'decoder.cross.core').repeat).toBe(24);
  });
});

describe('ragged batches', () => {
  test('equal lengths are the uniform batch', () => {
    expect(expand('llama-2-7b:decode,lens=50/50').ops).toEqual(expand('llama-2-7b:decode,batch=2,context=50').ops);
  });
  test('prefill is the sum of its sequences where the work is per sequence', () => {
    const flops = (text: string) => matrixFlops(opsOf(expand(text), 'attention'));
    expect(flops('llama-2-7b:prefill,lens=128/512/128')).toBe(
      2 * flops('llama-2-7b:prefill,seq=128') + flops('llama-2-7b:prefill,seq=512'),
    );
  });
});

describe('number formats', () => {
  test('weights narrower than activations come through in the products, not in the tables', () => {
    const trace = expand('llama-2-7b:decode,weights=int4');
    for (const op of opsOf(trace, 'matmul'))
      expect([op.a, op.b, op.c, op.accumulate]).toEqual(['bf16', 'int4', 'bf16', 'fp32']);
    expect(opsOf(trace, 'gather')[0]!.dtype).toBe('bf16');
    const linear = 6_738_415_616 - 32_000 * 4096 - 65 * 4096;
    expect(trace.footprint_B.weights).toBe(linear / 2 + (32_000 * 4096 + 65 * 4096) * 2);
  });
  test('narrow activations are quantised before each product and the stream stays wide', () => {
    const trace = expand('llama-2-7b:prefill,dtype=int8');
    for (const op of opsOf(trace, 'matmul'))
      expect([op.a, op.b, op.c, op.accumulate]).toEqual(['int8', 'int8', 'bf16', 'int32']);
    expect(opsOf(trace, 'elementwise').filter((op) => op.fn === 'quantise')).toHaveLength(3);
    expect(opsOf(trace, 'attention')[0]!.o).toBe('int8');
  });
  test('a tied head is the token table, whatever the weights', () => {
    expect(opsOf(expand('gpt-2:decode,weights=int8'), 'matmul').at(-1)!.b).toBe('fp16');
  });
  test('at 16 bits the footprint is two bytes a parameter', () => {
    for (const name of modelNames()) expect(expand(name).footprint_B.weights).toBe(2 * expand(name).parameters);
  });
});

describe('fusions', () => {
  test('queries, keys and values are one product; gate and up are one', () => {
    const trace = expand('llama-2-70b:prefill,seq=10');
    expect(named(trace, 'layer.attention.qkv_proj')).toMatchObject({
      m: 10,
      n: (64 + 2 * 8) * 128,
      k: 8192,
      repeat: 80,
    });
    expect(named(trace, 'layer.ffn.gate_up_proj')).toMatchObject({ n: 2 * 28_672 });
    expect(named(trace, 'layer.ffn.down_proj')).toMatchObject({ k: 28_672, residual: true });
  });
  test('logits=last multiplies one row a sequence, logits=all every row', () => {
    expect(named(expand('llama-2-7b:prefill,batch=3,seq=10'), 'head.logits')).toMatchObject({ m: 3 });
    expect(named(expand('llama-2-7b:prefill,batch=3,seq=10,logits=all'), 'head.logits')).toMatchObject({ m: 30 });
  });
  test('Qwen3 norms each query and key head', () => {
    expect(named(expand('qwen3-32b:prefill,seq=10'), 'layer.attention.qk_norm')).toMatchObject({
      rows: 10 * 72,
      cols: 128,
    });
  });
});

describe('routed experts', () => {
  const moe = { count: 128, top_k: 8, hidden: 768, normalise: true };
  test('one token touches its own experts; many touch all', () => {
    expect(expertsTouched(1, moe)).toBe(8);
    expect(expertsTouched(2, moe)).toBe(16); // 15.5 expected
    expect(expertsTouched(10_000, moe)).toBe(128);
  });
  test('the expectation is that of drawing without replacement', () => {
    // two tokens, two of three experts each: of the 9 pairs of choices 3 coincide (2 touched), 6 differ (3 touched)
    expect(3 * (1 - (1 - 2 / 3) ** 2)).toBeCloseTo((3 * 2 + 6 * 3) / 9, 12);
    expect(expertsTouched(2, { count: 3, top_k: 2, hidden: 1, normalise: false })).toBe(3);
  });
  test('rows are spread evenly and none is lost', () => {
    expect(evenRows(32, 16)).toBeUndefined();
    expect(evenRows(7, 3)).toEqual([3, 2, 2]);
  });
  test('a decode step reads only the experts that it touches', () => {
    const trace = expand('qwen3-30b-a3b:decode,batch=1,context=10');
    const grouped = opsOf(trace, 'grouped_matmul');
    expect(grouped.reduce((sum, op) => sum + weightBytesOf(op), 0)).toBe(8 * 3 * 2048 * 768 * 2);
  });
});

describe('tensor parallelism', () => {
  test.each(['llama-2-7b', 'llama-2-70b', 'qwen3-30b-a3b', 'opt-13b', 't5-small'])(
    '%s: the products and attention of all devices are those of one',
    (name) => {
      const m = model(name);
      const router = (ops: readonly Op[]) => ops.filter((op) => !op.name.endsWith('.router'));
      const one = matrixFlops(router(expand(`${name}:prefill,batch=2,seq=64`).ops));
      for (const tp of shardsOf(m).filter((n) => n > 1 && n <= m.attention.kv_heads && m.vocab! % n === 0))
        expect(tp * matrixFlops(router(expand(`${name}:prefill,batch=2,seq=64,tp=${tp}`).ops))).toBe(one);
    },
  );
  test('two sums over the devices a layer, one for the embedding, and the logits gathered', () => {
    const trace = expand('llama-2-70b:decode,batch=4,tp=8');
    expect(trace.devices).toBe(8);
    const runs = (kind: string) =>
      opsOf(trace, 'collective')
        .filter((op) => op.collective === kind)
        .reduce((sum, op) => sum + op.repeat, 0);
    expect(runs('all_reduce')).toBe(2 * 80 + 1);
    expect(runs('all_gather')).toBe(1);
    expect(named(trace, 'layer.attention.all_reduce')).toMatchObject({ elements: 4 * 8192, devices: 8 });
  });
  test('fewer key/value heads than devices: each is kept on several', () => {
    const attention = opsOf(expand('qwen3-30b-a3b:decode,tp=16'), 'attention')[0]!;
    expect([attention.heads, attention.kv_heads]).toEqual([2, 1]);
  });
});
