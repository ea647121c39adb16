/**
 * Each core's way to the far cache: a link in and a link out, and a window on the bytes that can be on their way to it.
 *
 * The window is a leaky bucket: a copy takes bytes · latency ÷ window of it, and up to a window's worth goes at once;
 * so a core draws window ÷ latency at most, and a copy that fits the window is not held up when nothing else flies.
 */
import { FS, type Rates } from './rates.js';
import type { Draw } from './servers.js';
import type { Transfer } from './transfer.js';

export class CorePorts {
  private readonly window: Float64Array;
  private readonly in: Float64Array;
  private readonly out: Float64Array;

  constructor(
    private readonly rates: Rates,
    private readonly draw: Draw | undefined,
  ) {
    const { count } = rates.machine.cores;
    this.window = new Float64Array(count);
    this.in = new Float64Array(count);
    this.out = new Float64Array(count);
  }

  /** Takes a copy's share of the window; returns when its first request leaves and sets when its last does. */
  ask(t: Transfer, core: number, latency_fs: number, now: number): number {
    const { inFlight_B } = this.rates;
    t.lastRequest = now;
    if (inFlight_B === Number.POSITIVE_INFINITY) return now;
    const before = this.window[core]!;
    const after = Math.max(before, now) + Math.round((t.moved_B * latency_fs) / inFlight_B);
    this.window[core] = after;
    t.lastRequest = Math.max(now, after - latency_fs);
    return Math.max(now, before - latency_fs);
  }

  receive(core: number, bytes: number, name: string, now: number): number {
    return this.pass(this.in, core, bytes * this.rates.in_fs_per_B, name, now);
  }
  send(core: number, bytes: number, name: string, now: number): number {
    return this.pass(this.out, core, bytes * this.rates.out_fs_per_B, name, now);
  }

  private pass(free: Float64Array, core: number, time: number, name: string, now: number): number {
    const from = Math.max(free[core]!, now);
    const end = from + Math.round(time);
    free[core] = end;
    this.draw?.(core, free === this.in ? 'copy' : 'store', name, from / FS, end / FS);
    return end;
  }
}
