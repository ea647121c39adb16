/** `tilewright list [machines|workloads|kernels|claims|spaces]`: what there is. */

import { Argument, type Command } from 'commander';
import { unknownName } from '../../base/errors.js';
import { findJson, listFiles, listMachines, openMachine } from '../files.js';
import { type CommonOptions, common } from '../options.js';
import { emit } from '../output.js';
import { bold, plainTable } from '../style.js';

type Row = Readonly<Record<string, string>>;

/** Rows of each list; the first key is the name. */
const LISTS = {
  async machines(): Promise<Row[]> {
    const rows: Row[] = [];
    for (const name of listMachines()) {
      const { title, family } = await openMachine(name);
      rows.push({ name, title, family });
    }
    return rows;
  },
  async workloads(): Promise<Row[]> {
    const { validateModel } = await import('../../workload/model.js');
    const { parameterCount } = await import('../../workload/parameters.js');
    const models = listFiles('models').map((name) => {
      const { json, file } = findJson('models', name);
      const model = validateModel(json, file);
      return { name, title: `${model.kind}, ${(parameterCount(model) / 1e9).toPrecision(3)} billion parameters` };
    });
    return [...models, ...listFiles('traces').map((name) => ({ name, title: 'trace of ops' }))];
  },
  async kernels(): Promise<Row[]> {
    const { KERNEL_LIST } = await import('../../kernel/library/index.js');
    return KERNEL_LIST.map(({ name, family, op, math }) => ({ name, family, op, math }));
  },
  async claims(): Promise<Row[]> {
    const { parseClaim } = await import('../../validate/claim-schema.js');
    return listFiles('claims').map((name) => {
      const { json, file } = findJson('claims', name);
      const { title, cases } = parseClaim(json, file);
      return { name, figures: String(cases.length), title };
    });
  },
  async spaces(): Promise<Row[]> {
    const { parseSpace } = await import('../../explore/space.js');
    return listFiles('spaces').map((name) => {
      const { json, file } = findJson('spaces', name);
      const { size, description } = parseSpace(json, file);
      return { name, points: String(size), description: description ?? '' };
    });
  },
} satisfies Record<string, () => Promise<Row[]>>;

const NAMES = Object.keys(LISTS) as (keyof typeof LISTS)[];

export function define(command: Command): void {
  common(command)
    .addArgument(new Argument('[what]', NAMES.join(', ')))
    .action(async (what: string | undefined, options: CommonOptions) => {
      if (what !== undefined && !Object.hasOwn(LISTS, what)) throw unknownName('list', what, NAMES);
      const wanted = what === undefined ? NAMES : [what as keyof typeof LISTS];
      const lists: Record<string, Row[]> = {};
      for (const name of wanted) lists[name] = await LISTS[name]();
      await emit(options, {
        json: () => lists,
        text: () => wanted.map((name) => listText(name, lists[name]!)).join('\n\n'),
      });
    });
}

function listText(name: string, rows: readonly Row[]): string {
  if (rows.length === 0) return `${bold(name)}\n(none)`;
  const keys = Object.keys(rows[0]!);
  return `${bold(name)}\n${plainTable(
    keys,
    rows.map((row) => keys.map((key) => row[key] ?? '')),
  )}`;
}
