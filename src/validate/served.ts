/**
 * Rows that measure whole models behind a serving engine: what they say of a workload, and which of their figures the
 * simulator predicts. One row may hold several figures.
 *
 * A decode step is simulated at the mean batch with every sequence at its mean length: the prompt and half of the
 * output. Tables that leave the prompt out get PROMPT_TOKENS (assumed: a short chat or exam question); prompts' own
 * work is spread over the tokens that follow them. The host's work between steps is not simulated.
 */
import { InputError } from '../base/errors.js';
import { positive as number, type Row, type Skip } from './fields.js';

export interface Figure {
  readonly quantity: 'prompt time' | 'time per token' | 'energy per token' | 'power';
  readonly unit: 's' | 'J' | 'W';
  readonly measured: number;
}

export interface Served {
  readonly group: string;
  readonly device?: string;
  /** Workload texts, as `--workload` takes them: the step that makes `tokens` tokens; the prompts of `sequences`. */
  readonly decode: string;
  readonly prefill: string;
  /** Share of the prompts' work that falls to one decode step; 0: the row tells them apart. */
  readonly prefill_share: number;
  readonly tokens: number;
  /** Kernels launched one by one or as a captured graph. */
  readonly launch: 'graph' | 'eager';
  readonly figures: readonly Figure[];
}

/** Models whose shapes are shipped, by the names of the tables. */
const MODELS: Readonly<Record<string, string>> = {
  'llama2-70b': 'llama-2-70b',
  'Qwen/Qwen3-8B': 'qwen3-8b',
  'meta-llama/Llama-3.1-70B-Instruct': 'llama-3.1-70b',
  'Qwen/Qwen3-Coder-30B-A3B-Instruct': 'qwen3-30b-a3b',
};

export const PROMPT_TOKENS = 256;

/** Prompt and token times of one model by tensor parallelism (splitwise-sim: vLLM of 2023, kernels launched one by one). */
export function phasesRow(row: Row): Served | Skip {
  const model = MODELS[row['model'] ?? ''];
  if (!model) return { skip: `no shipped model is '${row['model']}'` };
  const [batch, prompt, output] = [number(row, 'batch_size'), number(row, 'prompt_size'), number(row, 'token_size')];
  const tp = number(row, 'tensor_parallel');
  return {
    group: `tp=${tp}`,
    device: row['hardware'],
    decode: `${model}:decode,batch=${batch},context=${prompt + Math.ceil(output / 2)},tp=${tp}`,
    prefill: `${model}:prefill,batch=${batch},seq=${prompt},tp=${tp}`,
    prefill_share: 0,
    tokens: batch,
    launch: 'eager',
    figures: [
      { quantity: 'prompt time', unit: 's', measured: number(row, 'prompt_time') * 1e-3 },
      { quantity: 'time per token', unit: 's', measured: number(row, 'token_time') * 1e-3 },
    ],
  };
}

/** Time, power and energy of a serving engine under load (ml-energy). */
export function energyRow(row: Row): Served | Skip {
  const model = MODELS[row['model_id'] ?? ''];
  if (!model) return { skip: `no shipped model is '${row['model_id']}'` };
  const devices = number(row, 'num_gpus');
  const tp = tensorParallel(row);
  if (tp !== devices) return { skip: `${devices} GPUs are not in tensor parallel alone` };
  const batch = Math.max(1, Math.round(number(row, 'avg_batch_size')));
  const output = number(row, 'avg_output_len');
  const context = PROMPT_TOKENS + Math.round(output / 2);
  return {
    group: `${model} ${row['task'] ?? ''}`.trim(),
    device: row['gpu_model'],
    decode: `${model}:decode,batch=${batch},context=${context}${tp > 1 ? `,tp=${tp}` : ''}`,
    prefill: `${model}:prefill,batch=1,seq=${PROMPT_TOKENS}${tp > 1 ? `,tp=${tp}` : ''}`,
    // in each step as many sequences begin as end
    prefill_share: batch / output,
    tokens: batch,
    launch: 'graph',
    figures: [
      { quantity: 'time per token', unit: 's', measured: number(row, 'median_itl_ms') * 1e-3 },
      { quantity: 'energy per token', unit: 'J', measured: number(row, 'energy_per_token_joules') },
      { quantity: 'power', unit: 'W', measured: number(row, 'avg_power_watts') },
    ],
  };
}

function tensorParallel(row: Row): number {
  const text = row['parallelization'] || '{}';
  let layout: { tensor_parallel?: unknown } | null;
  try {
    layout = JSON.parse(text);
  } catch {
    throw new InputError(`column parallelization is '${text}', expected JSON such as {"tensor_parallel": 2}`);
  }
  const tp = layout?.tensor_parallel ?? 1;
  if (!Number.isInteger(tp) || Number(tp) < 1)
    throw new InputError(`tensor_parallel in column parallelization is '${tp}', expected a whole number ≥ 1`);
  return Number(tp);
}

/** Images and videos: told by its columns, but no diffusion model is shipped. */
export const diffusionRow = (row: Row): Skip => ({ skip: `no shipped model is '${row['model_id']}'` });
