/**
 * All cases on one device. A first round checks results and bytes and times each case; further rounds time all of them
 * again, minutes later, because what disturbs a shared machine lasts longer than one case.
 */
import { TilewrightError } from '../../base/errors.js';
import { DeviceError } from '../../webgpu/device/errors.js';
import type { DeviceCase } from './cases.js';
import {
  type CaseResult,
  type CompareOptions,
  compare,
  isSkipped,
  type Prepared,
  prepare,
  type SkippedCase,
  skipped,
  timeAgain,
  withSamples,
} from './compare.js';
import type { RunOutcome } from './report.js';

export interface ValidateOptions extends CompareOptions {
  readonly rounds: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number, note: string) => void;
  /** Seconds since some start; for the duration alone. */
  readonly now: () => number;
}

/** Errors after which the next case may still run: the device is opened afresh. */
const PASSING: readonly string[] = ['timeout', 'crashed', 'lost', 'internal', 'shader', 'validation'];

/**
 * Runs what it can and keeps what it has when `signal` aborts. A case whose shader fails is skipped, counted as failed
 * and said; without an adapter or the package nothing can run, so those DeviceErrors are thrown.
 */
export async function validateOnDevice(cases: readonly DeviceCase[], options: ValidateOptions): Promise<RunOutcome> {
  const { signal, onProgress, rounds, now } = options;
  const start = now();
  const done = new Map<string, { prepared: Prepared; result: CaseResult; samples_s: readonly number[] }>();
  const order: (SkippedCase | string)[] = [];
  let failed = 0;
  let largest_B = 0;
  const total = cases.length * rounds;
  const guarded = async <T>(c: DeviceCase, work: () => Promise<T>): Promise<T | SkippedCase> => {
    try {
      return await work();
    } catch (e) {
      if (!(e instanceof TilewrightError)) throw e;
      if (e instanceof DeviceError && !PASSING.includes(e.kind)) throw e;
      failed++;
      return skipped(c, e.message);
    }
  };
  for (const [i, c] of cases.entries()) {
    if (signal?.aborted) break;
    onProgress?.(i, total, c.id);
    const prepared = prepare(c, options);
    if (isSkipped(prepared)) {
      order.push(prepared);
      continue;
    }
    const r = await guarded(c, () => compare(prepared, options));
    if (isSkipped(r)) {
      order.push(r);
      continue;
    }
    largest_B = Math.max(largest_B, prepared.bytes);
    done.set(c.id, { prepared, ...r });
    order.push(c.id);
  }
  for (let round = 1; round < rounds; round++) {
    let i = 0;
    for (const [id, entry] of done) {
      if (signal?.aborted) break;
      onProgress?.(cases.length * round + i++, total, id);
      const more = await guarded(entry.prepared.case, () => timeAgain(entry.prepared, options));
      if (!Array.isArray(more)) continue;
      const samples_s = [...entry.samples_s, ...more];
      done.set(id, { ...entry, samples_s, result: withSamples(entry.result, samples_s) });
    }
  }
  return {
    results: order.map((o) => (typeof o === 'string' ? done.get(o)!.result : o)),
    failed,
    interrupted: signal?.aborted === true,
    duration_s: now() - start,
    largest_B,
  };
}

/** `n` of the cases, spread evenly. */
export function spread<T>(cases: readonly T[], n: number): T[] {
  if (n >= cases.length) return [...cases];
  return Array.from({ length: n }, (_, i) => cases[Math.floor((i * cases.length) / n)]!);
}
