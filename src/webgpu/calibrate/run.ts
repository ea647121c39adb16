/**
 * Calibration: measures the device that a computer has.
 *
 *   adapter ──setup──► probes ──rounds──► samples ──figures──► seconds ──describe──► machine description
 */
import type { AdapterInfo } from '../device/job.js';
import { arithmeticProbes } from './arithmetic.js';
import { countsOf, dispatchProbes, occupancyProbe } from './dispatch.js';
import { coresOf, figuresOf } from './figures.js';
import { inOrderProbes } from './in-order.js';
import { crowded, type Figure, FULL, QUICK, sample, type Timer, Times, withSpread } from './measure.js';
import { memoryProbes } from './memory.js';
import { type Memory, memoryLevels } from './memory-levels.js';
import { nearProbes } from './near.js';
import type { Probe } from './probe.js';
import { type Setup, setupOf } from './setup.js';

export interface Measured {
  readonly setup: Setup;
  readonly figures: Readonly<Record<string, Figure>>;
  readonly memory: Memory;
  readonly shaders: number;
}
export interface CalibrationDevice extends Timer {
  info(): Promise<AdapterInfo>;
}

export interface CalibrationOptions {
  readonly quick?: boolean;
  /** Share of the work that is done, from 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

/** A speed-up below this share of the workgroups: more of them only take turns. */
const SATURATED = 0.6;

const CROWDED = ['cores', 'dispatch', 'submission', 'start', 'start group'] as const;

/** Throws DeviceError where there is no adapter or a probe fails. */
export async function measureDevice(device: CalibrationDevice, options: CalibrationOptions = {}): Promise<Measured> {
  const setup = setupOf(await device.info());
  const effort = options.quick ? QUICK : FULL;
  const probes = [
    ...dispatchProbes(setup),
    ...arithmeticProbes(setup),
    ...nearProbes(setup),
    ...memoryProbes(setup),
    ...inOrderProbes(setup),
  ];
  // the curve of memory is about a third of the work
  const total = probes.length * effort.rounds * 1.5;
  let count = 0;
  const done = () => options.onProgress?.(Math.min(0.99, ++count / total));
  const counts = await occupancy(device, setup, options.quick === true);
  // once more in the rounds: the first time the other cores may have been busy
  const samples = await sample(device, [...probes, ...counts], effort, done);
  const cores = coresOf(setup, new Times(samples));
  const figures = withSpread(samples, (t) => figuresOf(setup, t));
  for (const key of CROWDED) figures[key] = crowded(figures[key]!);
  const before = new Map(['dispatch', 'chase nothing'].map((id) => [id, samples.get(id)!]));
  const memory = await memoryLevels(
    device,
    setup,
    effort,
    before,
    setup.cpu ? cores : setup.fill,
    options.quick === true,
    done,
  );
  options.onProgress?.(1);
  return { setup, figures, memory, shaders: new Set([...samples.values()].map((s) => s.probe.wgsl)).size };
}

/** More workgroups until they no longer run side by side. */
async function occupancy(device: CalibrationDevice, setup: Setup, quick: boolean): Promise<Probe[]> {
  const effort = { rounds: 1, repeats: quick ? 4 : 10, batch_s: 2e-3 };
  const probes = [occupancyProbe(setup, 1)];
  const out = await sample(device, [dispatchProbes(setup)[0]!, ...probes], effort);
  let saturated = 0;
  for (const n of countsOf(setup)) {
    if (n === 1) continue;
    const probe = occupancyProbe(setup, n);
    probes.push(probe);
    for (const [id, s] of await sample(device, [probe], effort)) out.set(id, s);
    saturated = coresOf(setup, new Times(out)) < SATURATED * n ? saturated + 1 : 0;
    // two more, in case the others were busy
    if (saturated > 2) break;
  }
  return probes;
}
