/** The machine description that was calibrated on an adapter. */
import { InputError } from '../base/errors.js';
import type { Machine } from '../machine/load.js';
import type { AdapterInfo } from '../webgpu/device/job.js';
import { findMachine, listMachines, openMachine } from './files.js';

/** "llvmpipe: Mesa 25.0.7 (LLVM 15.0.6) 0.0.1" → "llvmpipe" */
const driverOf = (adapter: string): string => adapter.split(/[:(]/)[0]!.trim();

interface Described {
  readonly machine: string;
  readonly text: string;
}

/** Of descriptions as text: one measured on this adapter, or on another version of its driver. */
export function pickCalibrated(
  described: readonly Described[],
  adapter: string,
): { machine: string; same: boolean } | undefined {
  const measured = described.filter(({ text }) => /"from"\s*:\s*"measured"/.test(text));
  const quoted = JSON.stringify(adapter).slice(1, -1);
  const same = measured.find(({ text }) => text.includes(quoted));
  if (same) return { machine: same.machine, same: true };
  const driver = driverOf(adapter).toLowerCase();
  const other = driver && measured.find(({ text }) => text.toLowerCase().includes(driver));
  return other ? { machine: other.machine, same: false } : undefined;
}

/**
 * A shipped description whose numbers were measured on an adapter of this very name, or else of this driver; `note`
 * says which, since a computer with the same adapter may still be another.
 * @throws InputError that says how to get one
 */
export async function calibratedMachine(
  { name }: AdapterInfo,
  set: readonly string[] = [],
): Promise<{ machine: Machine; note: string }> {
  const shipped = listMachines().map((machine) => ({ machine, text: findMachine(machine).text }));
  const found = pickCalibrated(shipped, name);
  if (found) {
    const how = found.same
      ? 'calibrated on an adapter of this name'
      : `calibrated on another version of ${driverOf(name)}`;
    const own = 'for this very computer: tilewright calibrate -o my-device.json, then -m ./my-device.json';
    return { machine: await openMachine(found.machine, set), note: `predicting with ${found.machine}, ${how}; ${own}` };
  }
  throw new InputError(
    `no machine was calibrated on '${name}'; measure it first: tilewright calibrate -o my-device.json, then: tilewright validate -m ./my-device.json (or name any machine with -m)`,
  );
}

/** The shipped description of this family of which nothing was measured, when there is just one: what calibration is compared with. */
export async function uncalibratedMachine(family: string): Promise<Machine | undefined> {
  const found = listMachines().filter((name) => {
    const { text } = findMachine(name);
    return text.includes(`"family": "${family}"`) && !/"from"\s*:\s*"measured"/.test(text);
  });
  return found.length === 1 ? openMachine(found[0]!, []) : undefined;
}
