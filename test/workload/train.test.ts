/** A training step against closed forms. s: length, b: sequences, h: width, a: heads, L: layers. */
import { describe, expect, test } from 'vitest';
import { expandWorkload } from '../../src/workload/expand/index.js';
import type { TransformerModel } from '../../src/workload/model.js';
import { attentionPairs, compulsoryBytesOf, flopsOf, type Op, type OpOf, type Trace } from '../../src/workload/op.js';
import { parseWorkloadSpec } from '../../src/workload/spec.js';
import { footprintOf, isMatrix, summarise } from '../../src/workload/summary.js';
import { readTrace, writeTrace } from '../../src/workload/trace.js';
import { model } from './models.js';

const expand = (text: string, change: Partial<TransformerModel> = {}): Trace => {
  const spec = parseWorkloadSpec(text);
  return expandWorkload({ ...model(spec.model), ...change }, spec);
};
const matrix = (trace: Trace, where: (op: Op) => boolean) =>
  trace.ops.filter((op) => isMatrix(op) && where(op)).reduce((sum, op) => sum + flopsOf(op) * op.repeat, 0);
const phase = (name: string) => (op: Op) => op.phase === name;
const products = (name: string) => (op: Op) => op.phase === name && op.kind === 'matmul';
const optimiser = (trace: Trace) => trace.ops.find((op) => op.kind === 'optimiser') as OpOf<'optimiser'>;

describe('work', () => {
  const [s, b, h, L, ffn] = [1024, 8, 768, 12, 3072];
  const trace = expand(`gpt-2:train,batch=${b},seq=${s}`);
  // every weight of a product and the tied table, once a token
  const linear = L * (3 * h * h + h * h + 2 * h * ffn) + h * 50257;
  const pairs = (b * s * (s + 1)) / 2;
  test('forward: 2 a weight and token, 4 a pair and element; backward: twice and 2.5 times that', () => {
    expect(matrix(trace, products('forward'))).toBe(2 * linear * b * s);
    expect(matrix(trace, products('backward'))).toBe(4 * linear * b * s);
    expect(matrix(trace, (op) => op.kind === 'attention')).toBe(L * 4 * pairs * h);
    expect(matrix(trace, (op) => op.kind === 'attention_backward')).toBe(L * 10 * pairs * h);
  });
  test('unfused: every score forward, twice the products backward', () => {
    const unfused = expand(`gpt-2:train,batch=${b},seq=${s},attention=unfused`);
    expect(matrix(unfused, phase('forward'))).toBe(2 * linear * b * s + L * 4 * b * s * s * h);
    expect(matrix(unfused, phase('backward'))).toBe(2 * matrix(unfused, phase('forward')));
  });
  test('the rate as papers state it counts 6 a parameter and token and every pair', () => {
    expect(trace.source['model_flops']).toBe(6 * 124_439_808 * b * s + 12 * L * h * s * s * b);
  });
  test('each parameter has one gradient: their elements are the parameters', () => {
    let elements = 1024 * h; // positions
    for (const op of trace.ops) {
      if (op.kind === 'matmul' && op.name.endsWith('.weight_gradient')) elements += op.m * op.n * op.repeat;
      if (op.kind === 'reduce' && op.phase === 'backward') elements += op.rows * op.repeat;
    }
    expect(elements).toBe(124_439_808);
  });
  test('a checkpointed layer is computed again up to its last product, once', () => {
    const again = expand(`gpt-2:train,batch=${b},seq=${s},checkpoint=1`);
    const layer = matrix(trace, (op) => op.phase === 'forward' && op.name.startsWith('layer.'));
    expect(matrix(again, phase('recompute'))).toBe(layer - 2 * L * h * ffn * b * s);
    expect(matrix(again, phase('backward'))).toBe(matrix(trace, phase('backward')));
    const read = again.ops.filter((op) => op.phase === 'backward').flatMap((op) => op.deps);
    expect(read).toContain('recompute.layer.ffn.norm');
    expect(read).not.toContain('layer.ffn.norm');
  });
  test('accumulated batches repeat all but the optimiser, and add to the gradients that are there', () => {
    const four = expand(`gpt-2:train,batch=${b},seq=${s},accumulate=4`);
    expect(matrix(four, () => true)).toBe(4 * matrix(trace, () => true));
    expect(four.footprint_B).toEqual(trace.footprint_B);
    expect(four.ops.filter((op) => op.kind === 'optimiser')).toHaveLength(1);
    const adding = four.ops.filter((op) => op.id.startsWith('accumulate.') && op.name.endsWith('proj.weight_gradient'));
    expect(adding.map((op) => [op.kind === 'matmul' && op.residual, op.repeat])).toEqual(Array(4).fill([true, 3 * L]));
  });
  test('a gated block: gradients of gate and up, and rotations turned back', () => {
    const llama = expand('llama-2-7b:train,seq=64');
    const named = (name: string) => llama.ops.find((op) => op.name === name)!;
    expect(named('layer.ffn.swiglu.gate_gradient')).toMatchObject({ fn: 'silu_backward', n: 64 * 11008 });
    expect(named('layer.ffn.gate_up_proj.weight_gradient').deps).toEqual([
      'layer.ffn.swiglu.up_gradient',
      'layer.ffn.swiglu.gate_gradient',
      'layer.ffn.norm',
    ]);
    expect(named('layer.attention.rotary.input_gradient').deps).toEqual(['layer.attention.core.backward']);
    const linear = 6_738_415_616 - 32_000 * 4096 - 65 * 4096;
    expect(matrix(llama, products('backward'))).toBe(4 * linear * 64);
  });
  test('lengths of their own', () => {
    const ragged = expand('gpt-2:train,lens=64/128/64');
    const backward = ragged.ops.filter((op) => op.kind === 'attention_backward');
    expect(backward.map((op) => [op.batch, op.q_len])).toEqual([
      [1, 128],
      [2, 64],
    ]);
    const of = backward.reduce((sum, op) => sum + attentionPairs(op), 0);
    expect(of).toBe((2 * 64 * 65 + 128 * 129) / 2);
  });
});

describe('bytes', () => {
  test.each([
    // g in 16 bits, master and moments in 32, read; those and the 16-bit copy written
    ['adam', 'fp16', 2 + 12 + 12 + 2, 2 + 2 + 12],
    ['adam', 'fp32', 4 + 12 + 12, 4 + 4 + 8],
    ['sgd', 'bf16', 2 + 4 + 4 + 2, 2 + 2 + 4],
    ['sgd', 'fp32', 4 + 4 + 4, 4 + 4],
  ])('%s in %s moves %i bytes a parameter and keeps %i', (rule, dtype, moved, kept) => {
    const trace = expand(`gpt-2:train,seq=32,optimizer=${rule},dtype=${dtype}`);
    const { read_B, write_B } = compulsoryBytesOf(optimiser(trace));
    expect(read_B + write_B).toBe(moved * 124_439_808);
    expect(footprintOf(trace.footprint_B) - trace.footprint_B.activations).toBe(kept * 124_439_808);
  });
  test('without an optimiser the step ends at the gradients', () => {
    const trace = expand('gpt-2:train,seq=32,optimizer=none');
    expect(trace.ops.every((op) => op.kind !== 'optimiser')).toBe(true);
    expect(trace.footprint_B.optimiser).toBe(0);
  });

  // Korthikanti et al. (arXiv:2205.05198), equation 1: a layer keeps sbh(34 + 5as/h) bytes in 16 bits. Of these, two
  // masks of dropout are sbh; with dropout on the scores, a mask and the result are 3as²b.
  const [s, b, h, a] = [512, 4, 1024, 16];
  const layerBytes = (options: string) => {
    const of = (layers: number) =>
      expand(`gpt-2-medium:train,batch=${b},seq=${s}${options}`, { layers }).footprint_B.activations;
    return of(5) - of(4);
  };
  test('a layer keeps sbh(34 + 5as/h) less what dropout keeps, scores unfused', () => {
    expect(layerBytes(',attention=unfused')).toBe(
      s * b * h * 34 + 5 * a * s * s * b - 2 * s * b * h - 3 * a * s * s * b,
    );
  });
  test('fused, 34sbh less the masks, and a sum in fp32 for every row', () => {
    expect(layerBytes('')).toBe(34 * s * b * h - 2 * s * b * h + 4 * a * s * b);
  });
  test('checkpointed, 2sbh: its input', () => {
    expect(layerBytes(',checkpoint=1')).toBe(2 * s * b * h);
  });
});

describe('devices', () => {
  test('tp: two sums a layer forward and two backward, a part of the work each (Shoeybi et al., arXiv:1909.08053)', () => {
    const trace = expand('llama-2-7b:train,batch=2,seq=64,tp=4');
    const sums = (name: string) =>
      trace.ops.filter(
        (op) => op.kind === 'collective' && op.phase === name && op.repeat === 32,
      ) as OpOf<'collective'>[];
    for (const name of ['forward', 'backward'])
      expect(sums(name).map((op) => [op.collective, op.elements, op.devices])).toEqual([
        ['all_reduce', 128 * 4096, 4],
        ['all_reduce', 128 * 4096, 4],
      ]);
    const whole = expand('llama-2-7b:train,batch=2,seq=64');
    expect(4 * matrix(trace, () => true)).toBe(matrix(whole, () => true));
    expect(trace.devices).toBe(4);
  });
  test('dp: the gradients of all parameters are summed once, and every replica has tokens of its own', () => {
    const trace = expand('gpt-2:train,batch=2,seq=64,dp=8,accumulate=3');
    const [sum, ...others] = trace.ops.filter((op) => op.kind === 'collective') as OpOf<'collective'>[];
    expect(others).toEqual([]);
    expect(sum).toMatchObject({ collective: 'all_reduce', elements: 124_439_808, devices: 8, dtype: 'fp16' });
    expect(trace.devices).toBe(8);
    expect(trace.produces).toEqual({ unit: 'token', count: 2 * 64 * 3 * 8 });
  });
});

test('a step survives being written and read; phases of its summary sum to the total', () => {
  const trace = expand('gpt-2:train,batch=2,seq=64,checkpoint=1,accumulate=2,dp=2');
  expect(readTrace(writeTrace(trace))).toEqual(trace);
  expect(summarise(trace).map((p) => p.phase)).toEqual(['forward', 'backward', 'recompute', 'optimiser', 'total']);
});

test('keys shared by heads cannot be unfused', () => {
  expect(() => expand('llama-2-70b:train,attention=unfused')).toThrow(/keys of its own for every head/);
});
