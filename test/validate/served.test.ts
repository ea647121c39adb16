/** Tables of whole models: told by their columns, one prediction for each figure of a row, whatever the file is called. */
import { describe, expect, test } from 'vitest';
import { openTrace } from '../../src/cli/workload.js';
import { simulate } from '../../src/engine/simulate.js';
import { predictTable, rowsCsv, summarise } from '../../src/validate/measured.js';
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
    // 140 GB of weights over eight devices at 3.35 TB/s take 5.2 ms at least
    expect(rows[1]!.predicted_s).toBeGreaterThan(5.2e-3);
    expect(rows[1]!.predicted_s).toBeLessThan(3 * 5.2e-3);
  });

  test('has each input row once in the rows out', () => {
    const lines = rowsCsv(rows, columns).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('predicted_prompt_time_ms');
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
  expect(rows.find((r) => r.quantity === 'time per token')!.predicted_s).toBeCloseTo(step.time_s, 12);
});
