/** Several replays as the runs of a report. */
import type { Machine } from '../machine/load.js';
import type { Assumption, RunInput } from '../report/index.js';
import { note } from './output.js';
import { type ReplayOptions, replay } from './replay.js';
import { yellow } from './style.js';

/** Every workload on every machine, workloads varying fastest. */
export async function runsOf(
  machines: readonly string[],
  workloads: readonly string[],
  options: ReplayOptions,
): Promise<RunInput[]> {
  const runs: RunInput[] = [];
  for (const name of machines)
    for (const workload of workloads) {
      const { simulation, machine } = await replay(name, workload, options);
      for (const warning of simulation.warnings) note(options, `${yellow('warning:')} ${warning}`);
      runs.push({ simulation, machine: machine.graph, assumptions: assumptionsOf(machine) });
    }
  return runs;
}

/** Every number of the machine's description, with its provenance. */
export function assumptionsOf(machine: Machine): Assumption[] {
  return [...machine.fields].map(([path, { value, unit, text, from, source }]) => ({
    path,
    value,
    unit,
    text,
    from,
    source,
  }));
}

/** The command line that was given, for "how to reproduce". */
export function commandLine(): string {
  const words = process.argv
    .slice(2)
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`));
  return ['tilewright', ...words].join(' ');
}
