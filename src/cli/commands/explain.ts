/** `tilewright explain METRIC -m MACHINE [-w WORKLOAD]`: how a number came about. */
import type { Command } from 'commander';
import { InputError } from '../../base/errors.js';
import { explain, explainText } from '../../report/index.js';
import { openMachine } from '../files.js';
import { splitSet } from '../options.js';
import { emit } from '../output.js';
import { type ReplayOptions, replay, replayOptions } from '../replay.js';

interface Options extends ReplayOptions {
  readonly machine: string;
  readonly workload?: string;
}

export function define(command: Command): void {
  replayOptions(command)
    .argument('<metric>', 'time_s, energy_J, moved_B.dram, ops.NAME.time_s, machine.dram.bandwidth, …')
    .requiredOption('-m, --machine <name>', 'name of a machine, or a path to its file')
    .option('-w, --workload <text>', 'needed unless the metric is a field of the machine')
    .action(async (metric: string, options: Options) => {
      const explanation = explain(metric, await contextOf(metric, options));
      await emit(options, { json: () => explanation, text: () => explainText(explanation) });
    });
}

async function contextOf(metric: string, options: Options): Promise<Parameters<typeof explain>[1]> {
  if (options.workload !== undefined) {
    const { machine, simulation } = await replay(options.machine, options.workload, options);
    return { simulation, fields: machine.fields };
  }
  if (metric !== 'machine' && !metric.startsWith('machine.'))
    throw new InputError(`'${metric}' is of a replay: add -w WORKLOAD (fields of the machine start with machine.)`);
  const machine = await openMachine(options.machine, splitSet(options.set).machine);
  // fields are explained by themselves: nothing is replayed
  return { simulation: undefined as never, fields: machine.fields };
}
