/**
 * `tilewright calibrate`: measures this computer's WebGPU device and writes a machine description; with `--measured
 * FILES -m MACHINE` fits a described machine's uncertain constants to measured times.
 */
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import { InputError } from '../../base/errors.js';
import { loadMachine, type Machine } from '../../machine/load.js';
import { quantity } from '../../report/format.js';
import { type Calibration, describe } from '../../webgpu/calibrate/describe.js';
import { type Measured, measureDevice } from '../../webgpu/calibrate/run.js';
import { DeviceProcess } from '../../webgpu/device/host.js';
import { findFile } from '../files.js';
import { Interrupted, interruptible } from '../interrupt.js';
import { writeOutput } from '../io.js';
import { type CommonOptions, common, wholeNumber } from '../options.js';
import { emit, jsonText, note, refusePicture } from '../output.js';
import { startProgress } from '../progress.js';
import { bold, plainTable } from '../style.js';

interface Options extends CommonOptions {
  readonly name?: string;
  readonly measured?: readonly string[];
  readonly machine?: string;
  readonly device?: string;
  readonly rows: number;
  readonly seed?: number;
  readonly jobs?: number;
  readonly quick?: boolean;
}

const STEPS = 100;

export function define(command: Command): void {
  common(command)
    .option('--name <name>', "name of the machine; 'this-computer', or the machine's with -calibrated")
    .option('--quick', 'fewer repeats and a coarser memory curve: rough figures in some seconds')
    .option(
      '--measured <file.csv...>',
      'tables of measured times instead of the device; their columns tell what they are',
    )
    .option('-m, --machine <name>', 'with --measured: the machine they were measured on')
    .option('--device <name>', 'with --measured: only rows whose device column says so')
    .addOption(
      new Option('--rows <n>', 'with --measured: rows that constants are fitted to')
        .argParser(wholeNumber(10, 1_000_000))
        .default(1000),
    )
    .addHelpText(
      'after',
      '\nWith --out FILE the machine description goes there, for -m ./FILE; without, it is printed as a table, or with --json\nas { date, adapter, seconds, machine, spread }.\n\nWith --measured, half of the rows may be fitted to, a quarter tells how far predictions are off, a quarter is kept\nfor the report; --jobs says how many workers predict them. The description extends the machine and holds the changed numbers and the spread of the residuals.',
    )
    .action(async (options: Options) => {
      refusePicture(options.out, 'the description, as JSON');
      if (options.name !== undefined && !/^[a-z0-9][a-z0-9._-]*$/.test(options.name))
        throw new InputError(`expected lower-case letters, digits and . _ -, got '${options.name}'`, '--name');
      if (options.measured === undefined) {
        if (options.machine !== undefined || options.device !== undefined)
          throw new InputError(`${options.machine === undefined ? '--device' : '-m'} needs --measured`);
        return interruptible((signal) => calibrate({ ...options, name: options.name ?? 'this-computer' }, signal));
      }
      const { calibrateMeasured } = await import('../calibrate-measured.js');
      return calibrateMeasured({ ...options, measured: options.measured });
    });
}

async function calibrate(options: Options & { readonly name: string }, signal: AbortSignal): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const start = performance.now();
  const progress = await startProgress('calibrating', STEPS, options);
  const device = new DeviceProcess();
  let measured: Measured;
  try {
    const asked = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new Interrupted('interrupted; nothing was written')));
    });
    measured = await Promise.race([
      measureDevice(device, {
        quick: options.quick === true,
        onProgress: (share) => progress.update(Math.round(share * STEPS)),
      }),
      asked,
    ]);
  } finally {
    progress.stop();
    await device.close();
  }
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  const { machine, spread } = describe(measured, { name: options.name, date });
  const text = jsonText(machine);
  // a description that nobody can load is no description
  const loaded = await loadMachine(text, {
    file: options.out ?? options.name,
    resolveExtends: (name) => findFile('components', name),
  });
  const adapter = measured.setup.info.name;
  if (options.out && options.out !== '-') writeOutput(options.out, text);
  note(options, `${adapter}: ${measured.shaders} shaders, ${loaded.fields.size} numbers, ${seconds} s`);
  const { cpu } = measured.setup;
  const cores = measured.figures['cores']!.value;
  if (cpu && cores < availableParallelism())
    note(
      options,
      `only ${cores} of ${availableParallelism()} processors ran workgroups at once; was something else running?`,
    );
  if (options.out && options.out !== '-' && !options.json) return;
  await emit(
    { ...options, out: undefined },
    {
      json: () => ({ date, adapter, seconds, machine, spread }),
      text: () => summary(loaded, spread, adapter),
    },
  );
}

function summary({ fields, name }: Machine, spread: Calibration['spread'], adapter: string): string {
  return [
    bold(`${name}: ${adapter}`),
    plainTable(
      ['Quantity', 'Value', 'Within', 'From'],
      [...fields].map(([path, { value, unit, from }]) => {
        const within = spread[path];
        return [
          path,
          { text: quantity(value, unit), value },
          within === undefined ? '' : { text: `${Math.ceil(within * 100)} %`, value: within },
          from,
        ];
      }),
    ),
  ].join('\n');
}
