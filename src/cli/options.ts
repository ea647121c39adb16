/** Options that commands share, and how their values are read. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { asDType, DTYPES, type DType } from '../base/dtype.js';
import { unknownName } from '../base/errors.js';

export interface CommonOptions {
  readonly json?: boolean;
  readonly out?: string;
  readonly quiet?: boolean;
}

/** --json, --out, --quiet, and --seed and --jobs, which commands that draw nothing or run one thing accept too. */
export function common(command: Command): Command {
  return command
    .option('--json', 'print JSON (its schema: tilewright schema)')
    .option('-o, --out <file>', 'write there instead of stdout')
    .option('-q, --quiet', 'no progress and no notes on stderr')
    .addOption(new Option('--seed <n>', 'seed of whatever is random').argParser(wholeNumber(0, 2 ** 31 - 1)))
    .addOption(new Option('--jobs <n>', 'workers, where a command uses them').argParser(wholeNumber(1, 256)));
}

/** A parser of whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number) {
  return (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** For options that may stand several times. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** Splits --set: fields of the workload start with `workload.`, all others are the machine's. */
export function splitSet(set: readonly string[] = []): { machine: string[]; workload: string[] } {
  const out = { machine: [] as string[], workload: [] as string[] };
  for (const text of set) {
    const [, root, rest] = /^\s*(workload|machine)\.(.*)$/s.exec(text) ?? [];
    if (root === 'workload') out.workload.push(rest!);
    else out.machine.push(rest ?? text);
  }
  return out;
}

/** The value of --dtype. */
export function dtypeOf(text: string): DType {
  const dtype = asDType(text);
  if (!dtype) throw unknownName('number format', text, DTYPES, '--dtype');
  return dtype;
}
