/** `tilewright simulate -m MACHINE -w WORKLOAD`: replays a workload. */
import type { Command } from 'commander';
import { runOf } from '../../report/from-simulation.js';
import { textTable } from '../../report/table.js';
import { energyTable, figuresTable, limitsTable, opsTable } from '../../report/tables.js';
import { needsEvent } from '../event-options.js';
import { writeOutput } from '../io.js';
import { DRAWN, emit, note } from '../output.js';
import { type Replayed, type ReplayOptions, replay, replayOptions, workloadOf } from '../replay.js';
import { writeReport } from '../report-file.js';
import { assumptionsOf } from '../runs.js';
import { bold, STYLE, yellow } from '../style.js';

interface Options extends ReplayOptions {
  readonly machine: string;
  readonly workload?: string;
  readonly trace?: string;
  readonly timeline?: string;
}

export function define(command: Command): void {
  replayOptions(command)
    .requiredOption('-m, --machine <name>', 'name of a machine, or a path to its file')
    .option('-w, --workload <text>', 'NAME:phase,key=value,… such as llama-2-7b:decode,batch=8,context=2048')
    .option('--trace <file>', 'a trace of ops (JSON Lines) instead')
    .option('--timeline <file>', 'write what happened when, for Perfetto (with --fidelity event)')
    .addHelpText('after', '\nWith -o FILE.html, .md, .svg or .png it is a report.')
    .action(async (options: Options) => {
      if (options.timeline) needsEvent(options, '--timeline');
      const replayed = await replay(options.machine, workloadOf(options), options);
      for (const warning of replayed.simulation.warnings) note(options, `${yellow('warning:')} ${warning}`);
      if (options.timeline) {
        const { timelineOf } = await import('../timeline.js');
        writeOutput(
          options.timeline,
          JSON.stringify(timelineOf(replayed.shown, replayed.machine.graph, replayed.event)),
        );
      }
      const { simulation, machine } = replayed;
      if (!(await writeReport([{ simulation, machine: machine.graph, assumptions: assumptionsOf(machine) }], options)))
        await emit(options, { json: () => simulation, text: () => simulationText(replayed) }, DRAWN);
    });
}

/** Verdict first, then key figures, what sets the pace, energy and ops. */
export function simulationText({ simulation, machine }: Pick<Replayed, 'simulation' | 'machine'>): string {
  const run = runOf({ simulation, machine: machine.graph });
  const parts = [
    `${bold(run.verdict.headline)}\n${run.verdict.sentence}`,
    ...[figuresTable([run]), limitsTable(run), energyTable([run]), opsTable(run)].map((t) => textTable(t, STYLE)),
  ];
  return parts.join('\n\n');
}
