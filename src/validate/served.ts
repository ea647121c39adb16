/**
 * Rows that measure whole models behind a serving engine: what they say of a workload, and which of their figures the
 * simulator predicts. One row may hold several figures.
 *
 * A decode step is simulated at the mean batch with every sequence at its mean length: the prompt and half of the
 * output. Tables that leave the prompt out get PROMPT_TOKENS (assumed: a short chat or exam question); prompts' own
 * work is spread over the tokens that follow them. What the host does is told by the runtime that was measured.
 */
import { InputError } from '../base/errors.js';
import { positive as number, type Row, type Skip } from './fields.js';

export interface Figure {
  readonly quantity: 'prompt time' | 'time per token' | 'energy per token' | 'power';
  readonly unit: 's' | 'J' | 'W';
  readonly measured: number;
}

/**
 * What a step costs the host. Kernels launched one by one are queued while the device works through those before, so
 * that the slower of the two decides; what is done once a step comes before the first and after the last.
 */
export interface Runtime {
  readonly name: string;
  /** To queue one op of the model; 0 where the step is a captured graph. */
  readonly op_s: number;
  /** Scheduling, inputs and outputs of a step, while the device waits. */
  readonly step_s: number;
  readonly source: string;
}

const EAGER_2023: Runtime = {
  name: 'Python, kernels launched one by one',
  op_s: 20e-6,
  step_s: 11e-3,
  source:
    'op: Llama-2-70B on 8 A100 in eager PyTorch takes 70 ms a token (PyTorch blog, IBM: 2.4 × 29 ms), 80 layers of some 55 kernels, 16 µs each; Llama-2-7B 39 ms (PyTorch blog, GPT Fast: 25.5 tokens/s), 32 layers of some 57, 21 µs. Step: of a step of Llama-3-8B on an H100 vLLM 0.5.3 spends 38 % on the GPU (vLLM blog, v0.6.0), whose 16 GB of weights and keys take about 7 ms',
};
const GRAPHS: Runtime = {
  name: 'captured graphs',
  op_s: 0,
  step_s: 0,
  source: 'no figure of the host’s work beside a captured step is published: left to the residual',
};

export interface Served {
  readonly group: string;
  readonly device?: string;
  /** Workload texts, as `--workload` takes them: the step that makes `tokens` tokens; the prompts of `sequences`. */
  readonly decode: string;
  readonly prefill: string;
  /** Share of the prompts' work that falls to one decode step; 0: the row tells them apart. */
  readonly prefill_share: number;
  readonly tokens: number;
  readonly runtime: Runtime;
  /** The decode step if the prompt, which the row leaves out, were twice as long as assumed. */
  readonly longer?: string;
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
    runtime: EAGER_2023,
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
  const decode = (context: number) => `${model}:decode,batch=${batch},context=${context}${tp > 1 ? `,tp=${tp}` : ''}`;
  return {
    group: `${model} ${row['task'] ?? ''}`.trim(),
    device: row['gpu_model'],
    decode: decode(context),
    prefill: `${model}:prefill,batch=1,seq=${PROMPT_TOKENS}${tp > 1 ? `,tp=${tp}` : ''}`,
    // in each step as many sequences begin as end
    prefill_share: batch / output,
    tokens: batch,
    runtime: GRAPHS,
    longer: decode(context + PROMPT_TOKENS),
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
