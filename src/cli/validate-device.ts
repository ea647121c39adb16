/** `tilewright validate` on the real device: choose, run, report, and say whether it is out of tolerance. */
import { InfeasibleError, InputError, ToleranceError } from '../base/errors.js';
import {
  computeRoofs,
  formatOf,
  memoryRoofs,
  REPORT_FORMATS,
  renderValidation,
  textTable,
  type ValidationView,
  validationTables,
  validationVerdict,
} from '../report/index.js';
import { bindingOf } from '../validate/device/binding.js';
import { type DeviceReport, outOfTolerance, reportOf } from '../validate/device/report.js';
import { validateOnDevice } from '../validate/device/run.js';
import { DeviceProcess } from '../webgpu/device/host.js';
import { calibratedMachine, uncalibratedMachine } from './calibrated.js';
import { type CaseOptions, chooseCases } from './device-cases.js';
import { openMachine } from './files.js';
import { Interrupted, interruptible } from './interrupt.js';
import { writeOutput } from './io.js';
import { type CommonOptions, splitSet } from './options.js';
import { jsonText, note } from './output.js';
import { startProgress } from './progress.js';
import { commandLine } from './runs.js';
import { bold, STYLE } from './style.js';
import { VERSION } from './version.js';

export interface DeviceValidateOptions extends CommonOptions, CaseOptions {
  readonly machine?: string;
  readonly fidelity: 'steady' | 'event';
  readonly tolerance?: number;
  readonly robustness: boolean;
  readonly clock?: 'timestamps' | 'host';
  readonly set?: readonly string[];
}

/** Rounds over all cases, batches in each: 30 samples in three rounds a minute or so apart. */
const FULL = { rounds: 3, timing: { repeats: 10, limit_s: 0.25 } } as const;
const QUICK = { rounds: 1, timing: { repeats: 10, limit_s: 0.15 } } as const;

/** @throws ToleranceError after everything is written, Interrupted likewise */
export async function validateDevice(options: DeviceValidateOptions): Promise<void> {
  const toFile = options.out !== undefined && options.out !== '-';
  const format = toFile ? formatOf(options.out!) : undefined;
  if (toFile && !format)
    throw new InputError(`the file's ending says no format; known: ${REPORT_FORMATS.join(', ')}`, options.out);
  const set = splitSet(options.set).machine;
  const named = options.machine === undefined ? undefined : await openMachine(options.machine, set);
  const device = new DeviceProcess({ robustness: options.robustness });
  const counter = new DeviceProcess({ robustness: options.robustness });
  try {
    const info = await device.info();
    let machine = named;
    if (!machine) {
      const found = await calibratedMachine(info, set);
      note(options, found.note);
      machine = found.machine;
    }
    const graph = bindingOf(machine.graph);
    const plain = await uncalibratedMachine(graph.family);
    const { cases, own } = await chooseCases(options, graph, info);
    const { rounds, timing } = options.quick ? QUICK : FULL;
    const progress = await startProgress('cases', cases.length * rounds, options);
    const outcome = await interruptible((signal) =>
      validateOnDevice(cases, {
        machine: graph,
        ...(plain && { uncalibrated: bindingOf(plain.graph) }),
        device,
        counter,
        own,
        signal,
        fidelity: options.fidelity,
        counting: !options.quick,
        rounds,
        timing: options.clock ? { ...timing, clock: options.clock } : timing,
        now: () => performance.now() / 1000,
        onProgress: (done, _, text) => progress.update(done, text),
      }),
    ).finally(() => progress.stop());
    const report = reportOf(outcome, graph, info, options.fidelity);
    const view: ValidationView = {
      machine: graph.name,
      home: graph.stores.find((s) => s.role === 'home')!.id,
      memory: memoryRoofs(graph),
      compute: computeRoofs(graph),
      cases: report.cases,
    };
    await write(report, view, options, toFile ? format : undefined);
    if (report.interrupted) throw new Interrupted(`interrupted: ${report.n} of ${cases.length} cases were measured`);
    const wrong = outOfTolerance(report, options.tolerance);
    if (wrong !== undefined) throw new ToleranceError(wrong);
    if (report.n === 0)
      throw new InfeasibleError(`no case was run: ${report.skipped[0]?.skip_reason ?? 'there are none'}`);
  } finally {
    await Promise.all([device.close(), counter.close()]);
  }
}

async function write(
  report: DeviceReport,
  view: ValidationView,
  options: DeviceValidateOptions,
  format: ReturnType<typeof formatOf>,
): Promise<void> {
  if (format) {
    const page = {
      title: `Validation of ${report.machine} on ${report.device}`,
      version: VERSION,
      command: commandLine(),
    };
    writeOutput(options.out!, await renderValidation(report, view, page, options.json ? 'json' : format));
    note(options, `${validationVerdict(report)}\nwrote ${options.out}`);
  } else process.stdout.write(options.json ? jsonText(report) : reportText(report));
}

function reportText(report: DeviceReport): string {
  const tables = validationTables(report).map((t) => `${bold(t.title)}\n${textTable(t, STYLE)}`);
  return `${[bold(validationVerdict(report)), ...tables].join('\n\n')}\n`;
}
