/** `tilewright trace show|write WORKLOAD`: what a workload holds, and its ops as JSON Lines. */
import type { Command } from 'commander';
import { quantity } from '../../report/format.js';
import { summarise } from '../../workload/summary.js';
import { writeTrace } from '../../workload/trace.js';
import { writeOutput } from '../io.js';
import { type CommonOptions, collect, common, splitSet } from '../options.js';
import { emit } from '../output.js';
import { bold, plainTable } from '../style.js';
import { openTrace } from '../workload.js';

interface Options extends CommonOptions {
  readonly set?: readonly string[];
}

export function define(command: Command): void {
  command.description('show what a workload holds, or write its ops as JSON Lines (which --trace reads)');
  common(command.command('show').description('operations, bytes and parameters by phase').argument('<workload>'))
    .option('--set <workload.key=value>', 'override a field', collect)
    .action(async (text: string, options: Options) => {
      const trace = openTrace(text, splitSet(options.set).workload);
      const phases = summarise(trace);
      const { name, devices, parameters, footprint_B, produces } = trace;
      await emit(options, {
        json: () => ({ name, devices, parameters, footprint_B, produces, phases, ops: trace.ops }),
        text() {
          const show = (value: number, unit: string) => ({ text: quantity(value, unit), value });
          const memory = Object.entries(footprint_B).map(
            ([what, B]) => `${what.replace('_', ' ')} ${quantity(B, 'B')}`,
          );
          return [
            `${bold(name)}\n${quantity(parameters, '')} parameters on ${devices} device${devices > 1 ? 's' : ''}; each holds ${memory.join(', ')}`,
            plainTable(
              ['Phase', 'Ops', 'Runs', 'FLOPs', 'in products', 'Compulsory', 'weights', 'KV cache'],
              phases.map((p) => [
                p.phase,
                show(p.ops, ''),
                show(p.runs, ''),
                show(p.flops, 'FLOP'),
                show(p.matrix_flops, 'FLOP'),
                show(p.compulsory_B, 'B'),
                show(p.weights_B, 'B'),
                show(p.kv_B, 'B'),
              ]),
            ),
            plainTable(
              ['Kind', 'Runs', 'FLOPs', 'Compulsory'],
              Object.entries(phases.at(-1)!.kinds).map(([kind, k]) => [
                kind,
                show(k.runs, ''),
                show(k.flops, 'FLOP'),
                show(k.compulsory_B, 'B'),
              ]),
            ),
          ].join('\n\n');
        },
      });
    });
  command
    .command('write')
    .description('write the ops as JSON Lines')
    .argument('<workload>')
    .option('-o, --out <file>', 'write there instead of stdout')
    .option('--set <workload.key=value>', 'override a field', collect)
    .action((text: string, options: Options) => {
      const lines = writeTrace(openTrace(text, splitSet(options.set).workload));
      if (options.out === undefined || options.out === '-') process.stdout.write(lines);
      else writeOutput(options.out, lines);
    });
}
