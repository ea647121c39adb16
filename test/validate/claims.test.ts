/** Claims: files that are checked, figures that agree with their source, metrics that can go wrong. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { openMachine } from '../../src/cli/files.js';
import { attentionOp } from '../../src/kernel/library/attention_op.js';
import type { ResourceGraph } from '../../src/machine/graph.js';
import { type Claim, parseClaim, ReproduceSchema } from '../../src/validate/claim-schema.js';
import { machinesOf, reproduceClaim } from '../../src/validate/claims.js';
import { layerOf } from '../../src/validate/layer.js';
import { standardAttention } from '../../src/validate/standard-attention.js';
import { expandWorkload } from '../../src/workload/expand/index.js';
import { flopsOf } from '../../src/workload/op.js';
import { parseWorkloadSpec } from '../../src/workload/spec.js';
import { shippedMachine } from '../kernel/machines.js';
import { model } from '../workload/models.js';

const FOLDER = 'workloads/claims';
const shipped = readdirSync(FOLDER)
  .filter((f) => f.endsWith('.json'))
  .map((f): [string, Claim] => [
    f.replace('.json', ''),
    parseClaim(JSON.parse(readFileSync(join(FOLDER, f), 'utf8')), f),
  ]);
const around = {
  machine: (): ResourceGraph => {
    throw new Error('no machine is needed here');
  },
  model,
  workload: (text: string) => {
    const spec = parseWorkloadSpec(text);
    return expandWorkload(model(spec.model), spec);
  },
};

describe('shipped claims', () => {
  test.each(shipped)('%s: no figure stands twice', (_, claim) => {
    expect(new Set(claim.cases.map((c) => c.name)).size).toBe(claim.cases.length);
  });
  test.each(shipped)('%s: every figure is reproduced, or says why not', { timeout: 60_000 }, async (name, claim) => {
    const machines = new Map<string, ResourceGraph>();
    for (const { name: m, set, key } of machinesOf(claim)) machines.set(key, (await openMachine(m, [...set])).graph);
    // some figures of a long table are enough here
    const cases = claim.cases.filter((_, i) => i % Math.ceil(claim.cases.length / 6) === 0);
    const few = { ...claim, cases: cases.map((c) => ({ ...c, mean_over: c.mean_over?.slice(0, 2) })) };
    const rows = reproduceClaim(name, few, { ...around, machine: (m: string) => machines.get(m)! });
    expect(new Ajv({ strict: false }).validate(ReproduceSchema, { claims: rows })).toBe(true);
    for (const r of rows) {
      expect(r.published).toBeGreaterThan(0);
      if (r.simulated === null) expect(r.note.length).toBeGreaterThan(20);
      else expect(r.residual).toBeCloseTo(r.simulated / r.published - 1, 12);
      expect(r.source.length).toBeGreaterThan(20);
    }
  });
  test('FlashAttention-2 forward on A100 is within 15 % of its plots, 8 % on average', async () => {
    const [name, claim] = shipped.find(([n]) => n === 'flashattention-2-a100')!;
    const machine = await shippedMachine('a100-sxm-80gb');
    const rows = reproduceClaim(
      name,
      { ...claim, cases: claim.cases.filter((c) => !c.source) },
      { ...around, machine: () => machine },
    );
    const off = rows.map((r) => Math.abs(r.residual!));
    expect(off.length).toBe(12);
    expect(Math.max(...off)).toBeLessThan(0.15);
    expect(off.reduce((a, b) => a + b, 0) / off.length).toBeLessThan(0.08);
  });
  test('FlashAttention-2 forward and backward on A100 is within 15 % of its table, 5 % on average', async () => {
    const [name, claim] = shipped.find(([n]) => n === 'flashattention-2-training')!;
    const machine = await shippedMachine('a100-sxm-80gb');
    const cases = claim.cases.filter((c) => c.name.startsWith('FlashAttention-2, width'));
    const rows = reproduceClaim(name, { ...claim, cases }, { ...around, machine: () => machine });
    const off = rows.map((r) => Math.abs(r.residual!));
    expect(off.length).toBe(24);
    expect(Math.max(...off)).toBeLessThan(0.15);
    expect(off.reduce((a, b) => a + b, 0) / off.length).toBeLessThan(0.05);
  });
  test('GPT training on A100: FlashAttention-2 within 25 % of the paper, and ahead of the first order and of none', {
    timeout: 60_000,
  }, async () => {
    const [name, claim] = shipped.find(([n]) => n === 'flashattention-2-training')!;
    const machine = await shippedMachine('a100-sxm-80gb');
    const cases = claim.cases.filter((c) => c.name.startsWith('GPT 2.7 B'));
    const rows = reproduceClaim(name, { ...claim, cases }, { ...around, machine: () => machine });
    expect(rows).toHaveLength(6);
    for (const [none, first, second] of [rows.slice(0, 3), rows.slice(3)] as (typeof rows)[]) {
      expect(Math.abs(second!.residual!)).toBeLessThan(0.25);
      expect(second!.simulated!).toBeGreaterThan(first!.simulated!);
      expect(first!.simulated!).toBeGreaterThan(none!.simulated!);
    }
  });
  test('both passes are the forward one and then the backward one', async () => {
    const [name, claim] = shipped.find(([n]) => n === 'flashattention-speedup')!;
    const machine = await shippedMachine('a100-sxm-80gb');
    const both = claim.cases.find((c) => c.treatment?.backward === 'attention_backward_fused')!;
    const time = (treatment: object) =>
      reproduceClaim(name, { ...claim, cases: [{ ...both, treatment }] }, { ...around, machine: () => machine })[0]!
        .simulated!;
    const forward = time({ kernel: 'attention_fused', shape: { statistics: 1 } });
    const backward = time({ kernel: 'attention_backward_fused' });
    expect(time(both.treatment!)).toBeCloseTo(forward + backward, 12);
    expect(backward).toBeGreaterThan(forward);
  });
  test('the regimes of attention meet between d²/2 and d², the three-launch kernel’s nearer d²/2', () => {
    const [name, claim] = shipped.find(([n]) => n === 'attention-io-bound')!;
    const rows = reproduceClaim(name, claim, around);
    const crossings = rows.filter((r) => r.metric === 'crossover').map((r) => r.simulated!);
    expect(crossings[0]).toBeGreaterThan(0.5);
    expect(crossings[0]).toBeLessThan(1);
    expect(crossings[1]).toBeGreaterThan(0.3);
    expect(crossings[1]).toBeLessThan(0.6);
    expect(crossings[2]).toBeGreaterThan(0.5);
    expect(crossings[2]).toBeLessThan(1);
  });
});

const FACTS = join('..', 'shared', 'papers', 'facts.md');
describe.skipIf(!existsSync(FACTS))('figures agree with the tables they come from', () => {
  test('FlashAttention-3 forward', () => {
    const lines = existsSync(FACTS) ? readFileSync(FACTS, 'utf8').split('\n') : [];
    const claim = shipped.find(([n]) => n === 'flashattention-3-h100')![1];
    const lengths = [512, 1024, 2048, 4096, 8192, 16384];
    let compared = 0;
    for (const line of lines) {
      const [, , kernel, pass, hd, causal, ...values] = line.split('|').map((x) => x.trim());
      if (!line.startsWith('| H100-SXM5') || kernel !== 'FA3' || pass !== 'fwd') continue;
      lengths.forEach((length, i) => {
        if (values[i] === '-') return;
        const found = claim.cases.find((c) => {
          const s = c.treatment?.shape;
          return s?.['head_dim'] === Number(hd) && s['q_len'] === length && (s['causal'] ?? 0) === Number(causal);
        });
        expect(found?.published, line).toBe(`${values[i]} TFLOP/s`);
        compared++;
      });
    }
    expect(compared).toBe(claim.cases.length);
  });
});

describe.skipIf(!existsSync(FACTS))('figures of both passes agree with the table they come from', () => {
  test.each([
    ['PyTorch', 'standard', 'standard-attention-a100'],
    ['FA1', 'FlashAttention', 'flashattention-a100'],
    ['FA2', 'FlashAttention-2', 'flashattention-2-training'],
  ])('%s on A100', (kernel, label, file) => {
    const lines = existsSync(FACTS) ? readFileSync(FACTS, 'utf8').split('\n') : [];
    const { cases } = shipped.find(([n]) => n === file)![1];
    const own = cases.filter((c) => c.name.startsWith(`${label}, width`));
    let compared = 0;
    for (const line of lines) {
      const [, gpu, k, pass, hd, causal, ...values] = line.split('|').map((x) => x.trim());
      if (!gpu?.startsWith('A100-80GB') || k !== kernel || pass !== 'fwd+bwd') continue;
      [512, 1024, 2048, 4096, 8192, 16384].forEach((length, i) => {
        if (values[i] === '-') return;
        const name = `${label}, width ${hd}, ${causal === '1' ? 'causal' : 'all keys'}, length ${length}`;
        expect(own.find((c) => c.name === name)?.published, name).toBe(`${values[i]} TFLOP/s`);
        compared++;
      });
    }
    expect(compared).toBe(own.length);
  });
});

const FUSEMAX = join('..', 'shared', 'golden', 'fusemax');
describe.skipIf(!existsSync(FUSEMAX))('figures of FuseMax agree with the tables they come from', () => {
  const VARIANT: Record<string, string> = {
    unfused: 'unfused',
    FLAT: 'flat',
    '+Cascade': 'cascade',
    '+Architecture': 'arch',
    FuseMax: 'binding',
  };
  const row = (variant: string, model: string, length: string) => {
    const [head, ...rows] = readFileSync(join(FUSEMAX, `attn-${variant}.csv`), 'utf8')
      .trim()
      .split('\n')
      .map((l) => l.split(','));
    const cells = rows.find(([m, l]) => m === model && l === length)!;
    return (column: string) => Number(cells[head!.indexOf(column)]);
  };
  const point = /^(?:(.*?)(?:, [^:]*)?: )?(BERT|TrXL), (\d+[KM]) tokens$/;
  test.each<[string, string, number]>([
    ['fusemax-time', 'latency', 1],
    ['fusemax-traffic', 'traffic', 1],
    ['fusemax-energy', 'energy', 1e-12],
    ['fusemax-utilisation', '', 1],
  ])('%s', (file, column, factor) => {
    for (const c of shipped.find(([n]) => n === file)![1].cases) {
      const [, variant, model_, length] = point.exec(c.name)!;
      const of = row(VARIANT[variant!]!, model_!, length!);
      const value = of(column || (c.metric === 'lanes_busy' ? 'util_1d' : 'util_2d')) * factor;
      expect(Math.abs(Number(c.published) / value - 1), c.name).toBeLessThan(1e-4);
    }
  });
  test.each([
    ['fusemax-attention-speedup', 'flat', 'latency'],
    ['fusemax-unfused-speedup', 'unfused', 'latency'],
    ['fusemax-attention-energy', 'flat', 'energy'],
    ['fusemax-attention-energy-all-registers', 'flat', 'energy'],
  ])('%s', (file, baseline, column) => {
    let compared = 0;
    for (const c of shipped.find(([n]) => n === file)![1].cases) {
      const [, , model_, length] = point.exec(c.name) ?? [];
      if (!model_) continue;
      const ratio = row(baseline, model_, length!)(column) / row('binding', model_, length!)(column);
      const value = column === 'energy' ? 1 / ratio : ratio;
      expect(Math.abs(Number(c.published) / value - 1), c.name).toBeLessThan(1e-3);
      compared++;
    }
    expect(compared).toBe(12);
  });
});

describe('a mean, and a layer of a model', () => {
  const claim = {
    title: 't',
    source: 's',
    note: 'n',
    metric: 'requested_B',
    both: { kernel: 'attention_fused', dtype: 'fp16', tile: { bq: 16, bkv: 16 } },
  };
  const layer = (seq: number) => ({ layer: { model: 't5-small', batch: 2, seq } });
  const run = (c: object) => reproduceClaim('x', parseClaim({ ...claim, cases: [c] }, 'x.json'), around)[0]!.simulated!;
  test('the layer is the attention of its model', () => {
    const shape = { batch: 2, heads: 8, q_len: 64, head_dim: 64 };
    expect(run({ name: 'c', published: 1, both: layer(64) })).toBe(run({ name: 'c', published: 1, both: { shape } }));
  });
  test('the mean is arithmetic', () => {
    const [a, b] = [64, 128].map((seq) => run({ name: 'c', published: 1, both: layer(seq) }));
    expect(run({ name: 'c', published: 1, mean_over: [layer(64), layer(128)] })).toBeCloseTo((a! + b!) / 2, 6);
  });
  test.each([
    ['gpt-2', 12 * 768 ** 2],
    ['llama-2-70b', (2 + 2 / 8) * 8192 ** 2 + 3 * 8192 * 28672],
    ['xlm-mlm-en-2048', 12 * 2048 ** 2],
  ])('products of a layer of %s hold its weights', (name, weights) => {
    const { products } = layerOf(model(name), 3, 5);
    expect(products.reduce((n, p) => n + p.repeat * p.shape['n']! * p.shape['k']!, 0)).toBe(weights);
    for (const p of products) expect(p.shape['m']).toBe(15);
  });
  test('routed experts have no such layer', () => {
    expect(() => layerOf(model('qwen3-30b-a3b'), 1, 1)).toThrow('routed experts');
  });
});

describe('a file that is wrong is refused, with the place', () => {
  const good = {
    title: 't',
    source: 's',
    note: 'n',
    metric: 'requested_ratio',
    baseline: { kernel: 'attention_fused', shape: { heads: 1, q_len: 256, head_dim: 16 }, tile: { bq: 16, bkv: 16 } },
    treatment: { kernel: 'attention_fused', shape: { heads: 1, q_len: 256, head_dim: 16 }, tile: { bq: 32, bkv: 16 } },
    cases: [{ name: 'c', published: 2 }],
  };
  test('as it stands it is fine, and counts', () => {
    const [row] = reproduceClaim('x', parseClaim(good, 'x.json'), around);
    // (2·256·16 + 2·16·256·16) ÷ (2·256·16 + 2·8·256·16)
    expect(row!.simulated).toBeCloseTo(34 / 18, 12);
  });
  test.each<[string, object, string]>([
    ['unknown field', { ...good, factor: 1.2 }, "unknown field 'factor'"],
    [
      'a tuning constant in a setup',
      { ...good, treatment: { ...good.treatment, scale: 2 } },
      "treatment: unknown field 'scale'",
    ],
    ['unknown metric', { ...good, metric: 'speed' }, 'metric: must be equal to one of the allowed values: time_s'],
    ['no case', { ...good, cases: [] }, 'cases: must NOT have fewer than 1 items'],
    ['no source', { ...good, source: undefined }, "must have required property 'source'"],
  ])('%s', (_, json, message) => {
    expect(() => parseClaim(JSON.parse(JSON.stringify(json)), 'x.json')).toThrow(`x.json: ${message}`);
  });
  test('a figure with the wrong unit, an unknown kernel, a setup without machine', () => {
    const run = (json: object) => () => reproduceClaim('x', parseClaim(json, 'x'), around);
    expect(run({ ...good, cases: [{ name: 'c', published: '2 GB' }] })).toThrow('must be a plain number');
    expect(run({ ...good, metric: 'requested_B', cases: [{ name: 'c', published: '2 ms' }] })).toThrow('x, c');
    expect(run({ ...good, treatment: { ...good.treatment, kernel: 'attention_fussed' } })).toThrow('did you mean');
    expect(run({ ...good, metric: 'speedup' })).toThrow('needs a machine');
  });
});

describe('attention step by step', () => {
  const op = attentionOp({ batch: 2, heads: 3, q_len: 64, head_dim: 16 }, 'fp16');
  test('forward does the useful products, both passes three times as many', () => {
    const products = (backward: boolean) =>
      standardAttention(op, { backward, mask: true, dropout: true })
        .ops.filter((o) => o.kind === 'matmul')
        .reduce((sum, o) => sum + flopsOf(o), 0);
    expect(products(false)).toBe(flopsOf(op));
    expect(products(true)).toBe(3 * flopsOf(op));
  });
  test('every step depends on the one before', () => {
    const { ops } = standardAttention(op, { backward: true, mask: false, dropout: false });
    for (const [i, o] of ops.entries()) expect(o.deps).toEqual(i === 0 ? [] : [ops[i - 1]!.id]);
  });
});
