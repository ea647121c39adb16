/** Launches under the event engine, one behind another, as a timeline for Perfetto. */
import { runEvent } from '../engine/event/run.js';
import { MemoryState } from '../engine/event/stateful.js';
import type { RunOptions } from '../engine/run.js';
import { type ChromeTrace, joinTraces, Timeline } from '../engine/timeline.js';
import type { Context } from '../engine/types.js';
import type { Launch } from '../kernel/kernel.js';
import type { ResourceGraph } from '../machine/graph.js';

export interface Shown {
  readonly launches: readonly Launch[];
  readonly context: Context;
}

/** Slices that all launches together may have: what viewers open without trouble. */
const MOST_SLICES = 400_000;

/** Each launch once, however often it is repeated. Cores beyond the first are left out, and the file says so. */
export function timelineOf(shown: readonly Shown[], machine: ResourceGraph, options: RunOptions = {}): ChromeTrace {
  const traces: ChromeTrace[] = [];
  const launches = shown.flatMap(({ launches, context }) => {
    const state = new MemoryState();
    return launches.map((launch) => ({ launch, context, state }));
  });
  const slices = Math.max(1000, Math.floor(MOST_SLICES / Math.max(1, launches.length)));
  let at_s = 0;
  for (const { launch, context, state } of launches) {
    const timeline = new Timeline({ cores: 4, slices });
    const { time_s } = runEvent(launch, machine, context, { ...options, timeline, state });
    traces.push(timeline.trace(traces.length + 1, at_s));
    at_s += time_s;
  }
  return joinTraces(traces);
}
