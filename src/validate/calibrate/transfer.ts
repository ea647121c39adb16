/** What calibrations of several machines agree on, as settings of one that nobody has measured. */
import { boundsOf, type Constant, constantsOf, valueAt } from '../../machine/calibratable.js';
import { FAMILIES } from '../../machine/family.js';
import type { Machine } from '../../machine/load.js';

/** A machine as its datasheet makes it, and as calibrated. */
export interface Taught {
  readonly before: Machine;
  readonly after: Machine;
}

/**
 * The mean change of each constant (log factor, or share) over the calibrations. What their rows do not determine a
 * calibration leaves as it was, and so pulls the mean towards no change. As "path=value" for `resolveMachine`.
 */
export function transferred(teachers: readonly Taught[], to: Machine): string[] {
  return constantsOf(FAMILIES[to.family].calibratable, to.fields).flatMap((c) => {
    const change = teachers.reduce((sum, t) => sum + changeOf(c, t), 0) / teachers.length;
    if (change === 0) return [];
    const [least, greatest] = boundsOf(c);
    const z = Math.min(greatest, Math.max(least, change / c.sd));
    return c.fields.map((f) => `${f.path}=${valueAt(c, f, z)}`);
  });
}

function changeOf({ name, by }: Constant, { before, after }: Taught): number {
  const was = constantsOf(FAMILIES[before.family].calibratable, before.fields).find((c) => c.name === name);
  if (!was) return 0;
  const { path, value } = was.fields[0]!;
  const is = after.fields.get(path)?.value ?? value;
  return by === 'factor' ? Math.log(is / value) : is - value;
}
