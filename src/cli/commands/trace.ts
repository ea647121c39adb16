/** `tilewright trace show|write WORKLOAD`: what a workload holds, and its ops as JSON Lines; `import FILE`: of a profile. */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { InputError } from '../../base/errors.js';
import { quantity } from '../../report/format.js';
import { summarise } from '../../workload/summary.js';
import { TRACE_LIMITS, writeTrace } from '../../workload/trace.js';
import { writeOutput } from '../io.js';
import { type CommonOptions, collect, common, splitSet } from '../options.js';
import { emit, note, refusePicture } from '../output.js';
import { bold, plainTable } from '../style.js';
import { openTraceFile } from '../trace-files.js';
import { openTrace } from '../workload.js';

interface Options extends CommonOptions {
  readonly set?: readonly string[];
}

export function define(command: Command): void {
  command.description(
    'show what a workload holds, write its ops as JSON Lines (which --trace reads), or import a profile',
  );
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
      refusePicture(options.out, LINES);
      const lines = writeTrace(openTrace(text, splitSet(options.set).workload));
      if (options.out === undefined || options.out === '-') process.stdout.write(lines);
      else writeOutput(options.out, lines);
    });
  command
    .command('import')
    .description('write the operators of a PyTorch profile (export_chrome_trace with record_shapes) as a trace')
    .argument('<file>', 'JSON, plain or gzip')
    .option('-o, --out <file>', 'write there instead of stdout')
    .option('-q, --quiet', 'no notes on stderr')
    .option('--name <name>', "of the trace; the file's")
    .addHelpText(
      'after',
      '\nProducts, convolutions, attention, softmax, norms, element-wise functions, reductions over the last axis, gathers and\ncopies are taken; what is left out is said. Ops run one after another; the right sides of single products and tables\nare taken for parameters. Then: tilewright simulate -m MACHINE --trace FILE',
    )
    .action(async (file: string, options: Options & { readonly name?: string }) => {
      refusePicture(options.out, LINES);
      const { importProfile } = await import('../../interop/pytorch/import.js');
      const name = options.name ?? basename(file).replace(/(\.pt)?(\.trace)?\.json(\.gz)?$/, '');
      const { trace, left_out } = importProfile(await wholeText(file), file, name);
      const lines = writeTrace(trace);
      if (options.out === undefined || options.out === '-') process.stdout.write(lines);
      else writeOutput(options.out, lines);
      const calls = left_out.reduce((sum, [, n]) => sum + n, 0);
      note(
        options,
        `${trace.ops.length} ops, ${trace.parameters} parameters; ${calls} call${calls === 1 ? '' : 's'} left out`,
      );
      for (const [what, n] of left_out.slice(0, MOST_LEFT_OUT)) note(options, `  ${n} × ${what}`);
      if (left_out.length > MOST_LEFT_OUT) note(options, `  and ${left_out.length - MOST_LEFT_OUT} other operators`);
    });
}

const LINES = 'JSON Lines';

const MOST_LEFT_OUT = 10;

async function wholeText(file: string): Promise<string> {
  const decoder = new TextDecoder('utf-8');
  let text = '';
  await openTraceFile(file).read((chunk) => {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > TRACE_LIMITS.file)
      throw new InputError(`more than the ${TRACE_LIMITS.file} characters that are read`, file);
    return true;
  });
  return text + decoder.decode();
}
