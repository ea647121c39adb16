/** What calibrations of several machines agree on, as settings of one that nobody has measured. */
import { boundsOf, type Constant, constantsOf, valueAt } from '../../machine/calibratable.js';
import { FAMILIES } from '../../machine/family.js';
import type { Machine } from '../../machine/load.js';
import type { Fitted } from './calibrate.js';

/**
 * The mean of each constant's change (log factor, or share), weighted by how well each calibration determines it: by
 * the share of the prior variance that its rows removed. As "path=value" for `resolveMachine`.
 */
export function transferred(calibrations: readonly (readonly Fitted[])[], to: Machine): string[] {
  return constantsOf(FAMILIES[to.family].calibratable, to.fields).flatMap((c) => {
    const change = meanChange(c, calibrations);
    if (change === 0) return [];
    const [least, greatest] = boundsOf(c);
    const z = Math.min(greatest, Math.max(least, change / c.sd));
    return c.fields.map((f) => `${f.path}=${valueAt(c, f, z)}`);
  });
}

function meanChange({ name }: Constant, calibrations: readonly (readonly Fitted[])[]): number {
  let sum = 0;
  let weights = 0;
  for (const fitted of calibrations) {
    const f = fitted.find(({ constant }) => constant.name === name);
    if (!f) continue;
    const weight = Math.max(0, 1 - (f.posterior_sd / f.prior_sd) ** 2);
    sum += weight * f.z * f.constant.sd;
    weights += weight;
  }
  return weights > 0 ? sum / weights : 0;
}
