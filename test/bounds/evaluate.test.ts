/** The whole answer: what `bounds` prints is what its schema says, whatever is asked. */
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { type Asked, boundsFor } from '../../src/bounds/evaluate.js';
import { BoundsSchema } from '../../src/bounds/result.js';
import { renderBounds } from '../../src/report/bounds.js';

const valid = new Ajv({ strict: false }).compile(BoundsSchema);
const ask = (name: string, shape: string, capacity_B: number, more: Partial<Asked> = {}) =>
  boundsFor({ name, shape, dtype: 'fp32', capacity_B, ...more });

describe('every kind of question', () => {
  test.each<[string, string, number]>([
    ['gemm', 'm=128,n=128,k=128', 4096],
    ['gemv', 'm=1,n=512,k=512', 4096],
    ['grouped_gemm', 'groups=4,rows=64,n=64,k=64', 4096],
    ['attention', 'heads=2,q_len=128,head_dim=16', 4096],
    ['conv2d', 'in_channels=8,out_channels=8,height=12,width=12', 4096],
    ['softmax', 'rows=8,cols=512', 1024],
    ['layernorm', 'rows=8,cols=512', 65536],
    ['elementwise', 'op=add,n=4096', 4096],
    ['transpose', 'rows=64,cols=64', 8192],
    ['gather', 'rows=16,cols=64,table_rows=100', 8192],
    ['fft', 'n=1024', 1024],
    ['attention_backward', 'heads=2,q_len=128,head_dim=16', 4096],
    ['triangular_gemm', 'm=256,n=256', 4096],
    ['sparse_gemm', 'm=256,n=256,k=256', 4096],
    ['gather_reuse', 'uses=1000,cols=64,reuse=5', 4096],
    ['conv3d', 'in_channels=8,out_channels=8,depth=4,height=12,width=12,padding=1', 4096],
    ['conv2d_window', 'in_channels=8,out_channels=8,height=12,width=12,padding=1', 4096],
  ])('%s', (name, shape, capacity_B) => {
    const result = ask(name, shape, capacity_B);
    expect(valid(result), JSON.stringify(valid.errors)).toBe(true);
    for (const s of result.schedules) {
      expect(s.ratio).toBeGreaterThanOrEqual(1);
      expect(s.ratio).toBeCloseTo(s.requested_B / result.bound_B, 12);
      expect(s.live_B).toBeLessThanOrEqual(capacity_B);
    }
    expect(result.bound_B).toBeGreaterThanOrEqual(result.compulsory_B);
    expect(result.advice).toMatch(/\.$/);
  });
  test('schedules come with the least bytes first, the user’s own among them', () => {
    const tile = { bm: 8, bn: 8, bk: 1, stages: 1, groups_m: 1, groups_n: 1 };
    const { schedules, advice } = ask('gemm', 'm=128,n=128,k=128', 4096, { tile });
    const bytes = schedules.map((s) => s.requested_B);
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
    expect(schedules.find((s) => s.sizes === 'yours')).toMatchObject({
      kernel: 'gemm',
      requested_B: 4 * (2 * 128 * 128 * 16 + 128 * 128),
    });
    expect(advice).toContain('instead of');
  });
  test('what would save most is fusion where memory is large, square tiles where it is small', () => {
    const shape = 'heads=1,q_len=1024,head_dim=32';
    const unfused = { bm: 16, bn: 16, bk: 1, stages: 1, groups: 1, rows: 1, block: 64, softmax_groups: 1 };
    const large = ask('attention_unfused', shape, 64 * 1024, { tile: unfused });
    expect(large.advice).toContain('attention_fused');
    const small = ask('attention_fused', shape, 2048, { tile: { bq: 4, bkv: 1, stages: 1, groups: 1, pack: 0 } });
    expect(small.advice).toContain('attention_small_memory');
  });
});

describe('bad questions', () => {
  test.each<[string, string, Partial<Asked>, string]>([
    ['gemmm', 'm=1,n=1,k=1', {}, "did you mean 'gemm'"],
    ['gemm', 'm=1,n=1', {}, "'k' is missing"],
    ['gemm', 'm=1,n=1,k=1,x=2', {}, 'shape key'],
    ['fft', 'n=12', {}, 'no power of two'],
    ['triangular_gemm', 'm=16,n=16', { tile: { bm: 1 } }, 'no kernel'],
    ['gemm', 'm=64,n=64,k=64', { tile: { bm: 512, bn: 512 } }, 'the capacity is 64'],
    ['gemm', 'm=64,n=64,k=64', { tile: { bq: 1 } }, 'parameter of gemm'],
    ['softmax', 'rows=2,cols=4', { pebble: true }, 'no graph of softmax'],
    ['gemm', 'm=64,n=64,k=64', { pebble: true }, 'too many'],
    ['sparse_gemm', 'm=4,n=4,k=4,keep=5,of=4', {}, 'more are kept'],
  ])('%s %s %o', (name, shape, more, message) => {
    expect(() => ask(name, shape, 64, more)).toThrow(message);
  });
});

test('the pebble game of a small product is proven, and of a larger one bounded', () => {
  const small = ask('gemm', 'm=2,n=2,k=2', 16, { pebble: true }).pebbling!;
  expect(small).toMatchObject({ near: 4, cost: 14, proven: true, at_least: 14 });
  expect(small.frames.at(-1)!.cost).toBe(14);
  const larger = ask('gemm', 'm=4,n=4,k=4', 32, { pebble: true }).pebbling!;
  expect(larger.proven).toBe(false);
  expect(larger.at_least).toBeLessThanOrEqual(larger.cost);
  expect(valid(ask('fft', 'n=4', 32, { pebble: true }))).toBe(true);
});

test('the drawing holds the bound, a line per kernel and the tables', async () => {
  const bounds = ask('attention', 'heads=1,q_len=128,head_dim=16', 4096, { curve: true, pebble: false });
  expect(bounds.curve).toHaveLength(13);
  for (const p of bounds.curve!)
    for (const bytes of Object.values(p.requested_B)) expect(bytes).toBeGreaterThanOrEqual(p.bound_B);
  const page = { title: 'Least I/O', version: '0', command: 'tilewright bounds' };
  const svg = (await renderBounds(page, bounds, 'svg')) as string;
  for (const name of ['lower bound', 'attention_fused', 'attention_small_memory']) expect(svg).toContain(name);
  const md = (await renderBounds(page, bounds, 'md')) as string;
  expect(md).toMatch(/\| attention\\_fused \| free/);
  const html = (await renderBounds(page, bounds, 'html')) as string;
  expect(html).toContain('id="tilewright-report"');
  // what is said, and what stands behind it, is on the page and not only in its data
  for (const text of ['any schedule moves at least', 'id="table-schedules"', 'id="table-terms"', 'Saha and Ye'])
    expect(html).toContain(text);
});

test('advice names the sizes that change, and no others', () => {
  const { advice } = ask('gemm', 'm=1024,n=1024,k=1024', 65536);
  expect(advice).toMatch(/a tile of bm=\d+, bn=\d+ instead of bm=\d+, bn=\d+ in gemm/);
});
