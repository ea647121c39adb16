/**
 * What happened when, for Perfetto or chrome://tracing: a track per core and lane, slices as complete events in
 * microseconds. Slices of one track never overlap: each begins where the one before it ended at the earliest.
 * (Format: "Trace Event Format", complete events `ph: "X"` and metadata events `ph: "M"`.)
 */
export const TIMELINE_LANES = ['copy', 'matrix', 'vector', 'store'] as const;
export type TimelineLane = (typeof TIMELINE_LANES)[number];

/** Where an engine puts what it sees. Times are from the kernel's first dispatch, in seconds. */
export interface TimelineSink {
  /** Whether slices of this core are wanted; asked once per core and run. */
  wants(core: number): boolean;
  /** Called before each run: an engine that runs again at another clock drops what it said before. */
  begin(title: string): void;
  slice(core: number, lane: TimelineLane, name: string, start_s: number, end_s: number): void;
}

export interface TraceEvent {
  readonly name: string;
  readonly ph: 'X' | 'M';
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, string | number>>;
}
export interface ChromeTrace {
  readonly displayTimeUnit: 'ns';
  readonly metadata: Readonly<Record<string, string | number>>;
  readonly traceEvents: readonly TraceEvent[];
}

export interface TimelineLimits {
  /** Cores recorded, from core 0 on. */
  readonly cores: number;
  /** Slices recorded in all. */
  readonly slices: number;
}

export class Timeline implements TimelineSink {
  private title = '';
  private events: TraceEvent[] = [];
  private ends = new Map<number, number>();
  private dropped = 0;
  private coresLeftOut = false;

  constructor(readonly limits: TimelineLimits = { cores: 8, slices: 200_000 }) {}

  begin(title: string): void {
    this.title = title;
    this.events = [];
    this.ends = new Map();
    this.dropped = 0;
    this.coresLeftOut = false;
  }

  wants(core: number): boolean {
    if (core < this.limits.cores) return true;
    this.coresLeftOut = true;
    return false;
  }

  slice(core: number, lane: TimelineLane, name: string, start_s: number, end_s: number): void {
    const tid = core * TIMELINE_LANES.length + TIMELINE_LANES.indexOf(lane);
    const from = Math.max(start_s * 1e6, this.ends.get(tid) ?? 0);
    const to = end_s * 1e6;
    if (to <= from) return;
    if (this.events.length >= this.limits.slices) {
      this.dropped++;
      return;
    }
    this.ends.set(tid, to);
    this.events.push({ name, ph: 'X', pid: 1, tid, ts: from, dur: to - from });
  }

  /** As one process of a trace; `offset_s` is when the kernel began. */
  trace(pid = 1, offset_s = 0): ChromeTrace {
    const names: TraceEvent[] = [{ name: 'process_name', ph: 'M', pid, tid: 0, args: { name: this.title } }];
    for (const tid of [...this.ends.keys()].sort((a, b) => a - b)) {
      const core = Math.floor(tid / TIMELINE_LANES.length);
      const lane = TIMELINE_LANES[tid % TIMELINE_LANES.length]!;
      names.push({ name: 'thread_name', ph: 'M', pid, tid, args: { name: `core ${core} ${lane}` } });
      names.push({ name: 'thread_sort_index', ph: 'M', pid, tid, args: { sort_index: tid } });
    }
    const notes: string[] = [];
    if (this.coresLeftOut) notes.push(`only the first ${this.limits.cores} cores are shown`);
    if (this.dropped > 0) notes.push(`${this.dropped} slices after the first ${this.limits.slices} are left out`);
    return {
      displayTimeUnit: 'ns',
      metadata: {
        title: this.title,
        slices: this.events.length,
        ...(notes.length > 0 ? { note: notes.join('; ') } : {}),
      },
      traceEvents: [...names, ...this.events.map((e) => ({ ...e, pid, ts: e.ts! + offset_s * 1e6 }))],
    };
  }
}

/** Several launches in one trace: give each its own `pid` and offset. */
export function joinTraces(traces: readonly ChromeTrace[]): ChromeTrace {
  const notes = new Set<string>();
  let slices = 0;
  for (const { metadata } of traces) {
    slices += Number(metadata['slices']);
    if (metadata['note'] !== undefined) notes.add(String(metadata['note']));
  }
  return {
    displayTimeUnit: 'ns',
    metadata: {
      title: traces.map((t) => t.metadata['title']).join(', '),
      slices,
      ...(notes.size > 0 ? { note: [...notes].join('; ') } : {}),
    },
    traceEvents: traces.flatMap((t) => t.traceEvents),
  };
}
