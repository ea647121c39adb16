/** Options of every command that replays a workload, and the replay itself. */
import { type Command, Option } from 'commander';
import { InputError } from '../base/errors.js';
import { parseOffload } from '../engine/offload.js';
import type { RunOptions } from '../engine/run.js';
import type { Simulation } from '../engine/simulation.js';
import { FIDELITIES, type Fidelity } from '../engine/types.js';
import type { Machine } from '../machine/load.js';
import type { Trace } from '../workload/op.js';
import { type EventOptions, eventOptions, openEventOptions } from './event-options.js';
import { openMachine } from './files.js';
import { type CommonOptions, collect, common, splitSet } from './options.js';
import { parsePins } from './pins.js';
import { startProgress } from './progress.js';
import type { Shown } from './timeline.js';
import { openTrace } from './workload.js';

export interface ReplayOptions extends CommonOptions, EventOptions {
  readonly set?: readonly string[];
  readonly fidelity: Fidelity;
  readonly objective: 'time' | 'energy' | 'edp';
  readonly launch: 'graph' | 'eager';
  readonly strict?: boolean;
  readonly offload?: string;
  readonly pin?: readonly string[];
}

export function replayOptions(command: Command): Command {
  return eventOptions(common(command))
    .addOption(
      new Option('--set <path=value>', 'override a field of the machine, or of the workload as workload.KEY').argParser(
        collect,
      ),
    )
    .addOption(new Option('--fidelity <name>', 'how closely it is simulated').choices(FIDELITIES).default('steady'))
    .addOption(
      new Option('--objective <name>', 'what kernels and tiles are picked by')
        .choices(['time', 'energy', 'edp'])
        .default('time'),
    )
    .addOption(
      new Option('--launch <how>', 'kernels from a captured graph, or one by one')
        .choices(['graph', 'eager'])
        .default('graph'),
    )
    .addOption(
      new Option(
        '--pin <op=kernel[:p=v,…]>',
        'fix the kernel of a kind of op, or some of its parameters (op:p=v,…)',
      ).argParser(collect),
    )
    .option(
      '--offload <what[:share]>',
      'weights or kv that do not fit the device live on its host and are copied while ops compute; a share from 0 to 1',
    )
    .option('--strict', 'a model that does not fit in memory is an error');
}

export interface Replayed {
  readonly machine: Machine;
  readonly trace: Trace;
  readonly simulation: Simulation;
  /** The launches of each op, in order. */
  readonly shown: readonly Shown[];
  readonly event: RunOptions;
}

/** @throws InputError, InfeasibleError */
export async function replay(machineName: string, workload: string, options: ReplayOptions): Promise<Replayed> {
  const set = splitSet(options.set);
  const machine = await openMachine(machineName, set.machine);
  const event = await openEventOptions(machineName, set.machine, options);
  const trace = openTrace(workload, set.workload);
  const { simulate } = await import('../engine/simulate.js');
  const { simulationIntervals } = await import('../validate/intervals.js');
  const pins = parsePins(options.pin);
  const progress = await startProgress('ops', trace.ops.length, {
    quiet: options.quiet || options.fidelity !== 'event',
  });
  try {
    const { fidelity, objective, launch, strict } = options;
    const shown: Shown[] = [];
    const simulated = simulate(trace, machine.graph, {
      fidelity,
      objective,
      launch,
      strict,
      pins,
      ...event,
      ...(options.offload !== undefined && { offload: parseOffload(options.offload, `--offload ${options.offload}`) }),
      onProgress: (done) => progress.update(done),
      onLaunches: (launches, context) => shown.push({ launches, context }),
    });
    const simulation = simulationIntervals(simulated, trace.ops, machine);
    return { machine, trace, simulation, shown, event };
  } finally {
    progress.stop();
  }
}

/** `-w WORKLOAD`, or a trace by its path as `--trace FILE`; one of them. */
export function workloadOf(options: { readonly workload?: string; readonly trace?: string }): string {
  if ((options.workload === undefined) === (options.trace === undefined))
    throw new InputError('expected -w WORKLOAD or --trace FILE, one of them');
  return options.workload ?? (/[\\/]|\.jsonl$/i.test(options.trace!) ? options.trace! : `./${options.trace}`);
}
