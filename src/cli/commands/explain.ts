/** `tilewright explain METRIC -m MACHINE [-w WORKLOAD]`: how a number came about. */
import { type Command, Option } from 'commander';
import { InputError } from '../../base/errors.js';
import { ORIGINS, type Origin, type Sourced } from '../../base/provenance.js';
import { COLD } from '../../engine/types.js';
import { explain, explainText } from '../../report/index.js';
import { KERNEL_NUMBERS } from '../../validate/kernel-habits.js';
import { openEventOptions } from '../event-options.js';
import { openMachine } from '../files.js';
import { type KernelOpOptions, kernelOp, kernelOpOptions } from '../kernel-op.js';
import { splitSet } from '../options.js';
import { emit } from '../output.js';
import { type ReplayOptions, replay, replayOptions } from '../replay.js';

interface Options extends ReplayOptions, KernelOpOptions {
  readonly machine: string;
  readonly workload?: string;
  readonly kernel?: string;
  readonly from?: Origin;
}

export function define(command: Command): void {
  kernelOpOptions(replayOptions(command))
    .argument(
      '<metric>',
      'time_s, energy_J, moved_B.dram, utilisation, ops.NAME.time_s, machine.dram.bandwidth, kernels, …',
    )
    .requiredOption('-m, --machine <name>', 'name of a machine, or a path to its file')
    .option('-w, --workload <text>', 'this or --kernel, unless the metric is a field of the machine')
    .addOption(
      new Option('--from <origin>', 'of the machine’s or the kernels’ numbers those that come from there').choices(
        ORIGINS,
      ),
    )
    .option('--kernel <name>', 'of one kernel by itself, with --shape, --dtype and --tile as `kernel` takes them')
    .action(async (metric: string, options: Options) => {
      const explanation = explain(metric, await contextOf(metric, options));
      await emit(options, { json: () => explanation, text: () => explainText(explanation) });
    });
}

async function contextOf(metric: string, options: Options): Promise<Parameters<typeof explain>[1]> {
  const { from, kernel, workload, machine: name, set } = options;
  const none = undefined as never;
  // numbers of descriptions are explained by themselves: nothing is replayed
  if (/^kernels(\.|$)/.test(metric))
    return { simulation: none, fields: new Map(), kernels: only(KERNEL_NUMBERS, from) };
  if (/^machine(\.|$)/.test(metric)) {
    const machine = await openMachine(name, splitSet(set).machine);
    return { simulation: none, fields: only(machine.fields, from) };
  }
  if (from !== undefined)
    throw new InputError(
      'lists numbers of a machine or of kernels: the metric is machine, kernels or a part of them',
      '--from',
    );
  if (kernel !== undefined) {
    if (workload !== undefined) throw new InputError('expected -w WORKLOAD or --kernel NAME, one of them');
    return kernelAlone(kernel, options);
  }
  if (workload === undefined)
    throw new InputError(
      `'${metric}' is of a replay: add -w WORKLOAD or --kernel NAME (fields of the machine start with machine.)`,
    );
  const { machine, simulation } = await replay(name, workload, options);
  return { simulation, fields: machine.fields };
}

function only(fields: ReadonlyMap<string, Sourced>, from: Origin | undefined): ReadonlyMap<string, Sourced> {
  if (from === undefined) return fields;
  const found = new Map([...fields].filter(([, field]) => field.from === from));
  if (found.size === 0) throw new InputError(`no number is ${from}`, '--from');
  return found;
}

async function kernelAlone(name: string, options: Options): Promise<Parameters<typeof explain>[1]> {
  const { simulateKernel } = await import('../../engine/simulate.js');
  const set = splitSet(options.set).machine;
  const machine = await openMachine(options.machine, set);
  const { op, ...chosen } = await kernelOp(name, options, machine.graph);
  const { fidelity, objective, launch } = options;
  const event = await openEventOptions(options.machine, set, options);
  const context = { ...COLD, launch };
  const { result } = simulateKernel(op, machine.graph, { fidelity, objective, context, ...chosen, ...event });
  return { simulation: result, fields: machine.fields };
}
