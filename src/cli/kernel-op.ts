/** A kernel with its shape, number format and tile, as `kernel` and `explain` are given them. */
import { type Command, Option } from 'commander';
import type { DType } from '../base/dtype.js';
import { InputError } from '../base/errors.js';
import type { KernelOptions } from '../engine/simulate.js';
import { type AnyKernel, KERNEL_LIST, kernelsNamed } from '../kernel/library/index.js';
import { parseShape } from '../kernel/shape.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { Op } from '../workload/op.js';
import { type CommonOptions, dtypeOf } from './options.js';
import { note } from './output.js';
import { parseAssignments } from './pins.js';
import { isKernelFile, loadUserKernel } from './user-kernels.js';

export interface KernelOpOptions extends CommonOptions {
  readonly shape?: string;
  readonly dtype?: DType;
  readonly tile?: string;
}

/** Formats that are taken where none is given: the first that the kernel can do on the machine. */
export const FORMATS = ['bf16', 'fp16', 'fp32', 'int8'] as const satisfies readonly DType[];

export function kernelOpOptions(command: Command): Command {
  return command
    .option('--shape <key=value,…>', 'dimensions, such as m=4096,n=4096,k=4096')
    .addOption(
      new Option(
        '--dtype <name>',
        `number format (default: the first of ${FORMATS.join(', ')} that the machine does)`,
      ).argParser(dtypeOf),
    )
    .option('--tile <key=value,…>', 'parameters of the kernel; those left out are searched');
}

export interface KernelOp extends Pick<KernelOptions, 'kernel' | 'kernels' | 'params'> {
  readonly op: Op;
}

/** @throws InputError for a kernel there is not, or a shape that is none of its */
export async function kernelOp(name: string, options: KernelOpOptions, machine: ResourceGraph): Promise<KernelOp> {
  const own = isKernelFile(name) ? [await loadUserKernel(name)] : undefined;
  const kernels = own ?? kernelsNamed(name);
  const shape = parseShape(options.shape ?? '', kernels[0]!.shape);
  const params = options.tile === undefined ? undefined : parseAssignments(options.tile, `--tile ${options.tile}`);
  const dtype = formatFor(name, kernels, shape, machine, options);
  return {
    op: kernels[0]!.toOp(shape, dtype),
    kernel: own ? undefined : pinned(name, params !== undefined),
    kernels: own,
    params,
  };
}

/** The format asked for, or the first that one of the kernels can do; a note says when that is not the usual one. */
export function formatFor(
  name: string,
  kernels: readonly AnyKernel[],
  shape: Readonly<Record<string, number>>,
  machine: ResourceGraph,
  options: Pick<KernelOpOptions, 'dtype' | 'quiet'>,
): DType {
  if (options.dtype !== undefined) return options.dtype;
  const can = (dtype: DType): boolean => {
    let op: Op;
    try {
      op = kernels[0]!.toOp(shape, dtype);
    } catch (e) {
      if (e instanceof InputError) return false;
      throw e;
    }
    return kernels.some((k) => k.rejects(op as never, machine) === undefined);
  };
  const dtype = FORMATS.find(can) ?? FORMATS[0];
  if (dtype !== FORMATS[0])
    note(options, `number format ${dtype}: ${machine.name} has no ${FORMATS[0]} for ${name} (--dtype)`);
  return dtype;
}

/** A name of one kernel is that kernel; a family is searched whole, unless a tile is given for its kernel of that name. */
function pinned(name: string, tile: boolean): string | undefined {
  const family = KERNEL_LIST.filter((k) => k.family === name);
  const exact = KERNEL_LIST.some((k) => k.name === name);
  return exact && (tile || family.length <= 1) ? name : undefined;
}
