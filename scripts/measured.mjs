/** The measured tables that scripts read, where they are present: GPUs, their machines and files. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './build.mjs';

export const MEASURED = join(ROOT, '..', 'shared', 'measured');
export const present = existsSync(MEASURED);
export const SEED = 0;

const trtllm = (stem) => ['gemm', 'context_attention', 'generation_attention'].map((t) => `${stem}.${t}.csv`);
const FP32 = ['linear', 'bmm', 'softmax', 'ln', 'elem'].map((t) => `fp32.${t}.csv`);

/** Calibrated machines: NAME extends NAME-datasheet. */
export const CALIBRATED = [
  { gpu: 'a100-sxm-80gb', files: trtllm('a100_sxm') },
  { gpu: 'h100-sxm', files: trtllm('h100_sxm') },
  { gpu: 'l40s', files: trtllm('l40s') },
  { gpu: 'b200-sxm', files: trtllm('b200_sxm') },
];
/** Described by datasheets, or extending a calibrated machine of the same chip; all of their rows are new to them. */
export const UNCALIBRATED = [
  { gpu: 'v100-pcie-32gb', files: FP32, device: 'v100_pcie' },
  { gpu: 't4', files: FP32, device: 't4' },
  { gpu: 'a100-pcie-40gb', files: FP32, device: 'a100_pcie_40gb', same_chip: true },
  { gpu: 'h200-sxm', files: ['h200_sxm.gemm_power.csv'], same_chip: true },
];

export const tablesOf = ({ files, device }) =>
  files.map((file) => ({ file, device, text: readFileSync(join(MEASURED, file), 'utf8') }));
