/** Energy per action (an ERT): tables by part's name, in pJ. */
import { InputError } from '../../base/errors.js';
import { Reader, readYaml } from './read.js';

/** By part, by action. */
export type EnergyTables = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** @throws InputError */
export function energyFrom(text: string, file: string, warnings: string[]): EnergyTables {
  const root = new Reader(readYaml(text, file), file, warnings);
  return tablesOf(root.child('ERT') ?? root, file);
}

export function tablesOf(ert: Reader, file: string): EnergyTables {
  const tables = new Map<string, Map<string, number>>();
  const listed = ert.children('tables');
  if (listed.length === 0) throw new InputError("has no 'ERT' with 'tables'", file);
  for (const table of listed) {
    const name = table
      .text(['name'], '')
      .replace(/\s*\[.*$/, '')
      .split('.')
      .at(-1)!;
    const actions = new Map<string, number>();
    for (const action of table.children('actions'))
      actions.set(action.text(['name'], ''), action.number(['energy'], 0));
    tables.set(name, actions);
  }
  return tables;
}
