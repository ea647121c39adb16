/** Tables of whole models: told by their columns, one prediction for each figure of a row, whatever the file is called. */
import { describe, expect, test } from 'vitest';
import { openTrace } from '../../src/cli/workload.js';
import { simulate } from '../../src/engine/simulate.js';
import { predictTable, rowsCsv, summarise } from '../../src/validate/measured.js';
import { hosted } from '../../src/validate/model-runs.js';
import { PROMPT_TOKENS } from '../../src/validate/served.js';
import { shippedMachine } from '../kernel/machines.js';

const h100 = await shippedMachine('h100-sxm');
const PHASES =
  'model,hardware,prompt_size,batch_size,token_size,prompt_time,token_time,tensor_parallel\n' +
  'llama2-70b,h100,512,1,128,100,20,8\nbloom-176b,h100,512,1,128,100,20,8\n';
const ENERGY =
  'model_id,task,gpu_model,num_gpus,avg_batch_size,avg_output_len,avg_power_watts,energy_per_token_joules,median_itl_ms,parallelization\n' +
  'Qwen/Qwen3-8B,chat,H100,1,15.9,600,450,0.26,8.9,"{""tensor_parallel"": 1}"\n';

describe('a table of phases', () => {
  const { rows, kind, columns } = predictTable(PHASES, 'x.csv', h100, { open: openTrace });

  test('is known and predicts prompts and tokens apart', () => {
    expect(kind.name).toBe('model phases');
    expect(rows.map((r) => r.quantity ?? r.skip_reason)).toEqual([
      'prompt time',
      'time per token',
      "no shipped model is 'bloom-176b'",
    ]);
    // 140 GB of weights over eight devices at 3.35 TB/s take 5.2 ms at least; the host queues 965 ops in 19 ms
    const { predicted_s, parts, bound_by } = rows[1]!;
    expect(parts!.kernels).toBeGreaterThan(5.2e-3);
    expect(parts!.kernels).toBeLessThan(3 * 5.2e-3);
    expect(bound_by).toBe('host');
    expect(predicted_s).toBeCloseTo(11e-3 + 965 * 20e-6, 9);
  });

  test('says what its times are made of', () => {
    for (const { predicted_s, parts } of rows.slice(0, 2)) {
      expect(parts!.kernels + parts!.collectives + parts!.host).toBeCloseTo(predicted_s!, 12);
      expect(parts!.collectives).toBeGreaterThan(0);
    }
    const { served } = summarise(rows, 'h100-sxm', kind.name, 'x.csv');
    expect(served!['time per token tp=8']!.parts!.host).toBeGreaterThan(0.5);
  });

  test('has each input row once in the rows out', () => {
    const lines = rowsCsv(rows, columns).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('predicted_prompt_time_ms');
    expect(lines[0]).toContain('predicted_time_per_token_host_ms');
    expect(lines[2]).toContain('no shipped model');
  });

  test('is summarised by figure', () => {
    expect(Object.keys(summarise(rows, 'h100-sxm', kind.name, 'x.csv').by_group)).toEqual([
      'prompt time tp=8',
      'time per token tp=8',
    ]);
  });
});

test('energy per token is that of a step at the mean batch and of the prompts that begin with it', () => {
  const { rows } = predictTable(ENERGY, 'x.csv', h100, { open: openTrace });
  const run = (text: string) => simulate(openTrace(text), h100, { launch: 'graph' });
  const step = run(`qwen3-8b:decode,batch=16,context=${PROMPT_TOKENS + 300}`);
  const prompt = run(`qwen3-8b:prefill,batch=1,seq=${PROMPT_TOKENS}`);
  const energy = rows.find((r) => r.quantity === 'energy per token')!;
  expect(energy.predicted_s).toBeCloseTo(step.energy_J / 16 + prompt.energy_J / 600, 9);
  const token = rows.find((r) => r.quantity === 'time per token')!;
  expect(token.predicted_s).toBeCloseTo(step.time_s, 12);
  expect(token.parts!.host).toBe(0);
  // 256 tokens more in each of 16 sequences: 36 layers × 2 × 8 heads × 128 × 2 B each, at 3.35 TB/s at most
  const keys_s = (16 * PROMPT_TOKENS * 36 * 2 * 8 * 128 * 2) / 3.35e12;
  expect(token.longer! - token.predicted_s!).toBeGreaterThan(0.7 * keys_s);
  expect(token.longer! - token.predicted_s!).toBeLessThan(2 * keys_s);
});

test('a device that waits for the host draws what it draws at rest', () => {
  const s = simulate(openTrace('gpt-2:decode,batch=1,context=128'), h100, { launch: 'graph' });
  const runtime = { name: 'slow', op_s: 1e-3, step_s: 2e-3, source: 'test' };
  const { time_s, energy_J, parts } = hosted(s, runtime, h100.control.static_W);
  const ops = s.ops.reduce((sum, o) => sum + o.repeat, 0);
  expect(time_s).toBeCloseTo(2e-3 + ops * 1e-3, 12);
  expect(energy_J - s.energy_J).toBeCloseTo(h100.control.static_W * parts.host, 9);
  const fast = hosted(s, { ...runtime, op_s: 0, step_s: 0 }, h100.control.static_W);
  expect(fast.time_s).toBe(s.time_s);
});
