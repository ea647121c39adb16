/** One copy from memory to a tile on its way. Pooled: a run makes no more of them than are under way at once. */
import type { Placer } from './blocks.js';
import type { Instr } from './plan.js';

export class Transfer {
  instr!: Instr;
  slot = 0;
  core = 0;
  /** Which landing it is, and whether its workgroup's statement blocks on it. */
  place = 0;
  blocking = false;
  elements = 0;
  rows = 0;
  requested_B = 0;
  moved_B = 0;
  /** The one block it touches (−1: those from `low` to `high`). */
  single = -1;
  low: Int32Array = new Int32Array(8);
  high: Int32Array = new Int32Array(8);
  /** Rows of a gather, where they are known. */
  picked: Float64Array | undefined;
  remote = false;
  missed = false;
  /** When it began, when its last request leaves the core, when first and last byte are in the cache. */
  since = 0;
  lastRequest = 0;
  first = 0;
  last = 0;
  /** Latency beyond a cache hit's. */
  extra_fs = 0;
  windowed = false;
  /** Where its first element lies in its tensor, and its extents in range. */
  offset = 0;
  cols = 0;
  /** When memory was asked, lines that are not there yet, and when it is through the ports of those that are. */
  asked = 0;
  open = 0;
  through = 0;
  /** When what its core's own cache held is in the tile; 0: it held nothing. */
  near = 0;

  constructor(readonly id: number) {}

  set(instr: Instr, slot: number, core: number, place: number, blocking: boolean, placer: Placer): void {
    this.instr = instr;
    this.slot = slot;
    this.core = core;
    this.place = place;
    this.blocking = blocking;
    this.elements = placer.rows * placer.cols;
    this.rows = placer.rows;
    this.requested_B = placer.requested_B;
    this.moved_B = placer.moved_B;
    this.single = placer.single;
    if (placer.single < 0 || instr.scattered)
      for (let d = 0; d < placer.low.length; d++) {
        this.low[d] = placer.low[d]!;
        this.high[d] = placer.high[d]!;
      }
    this.picked = placer.picked?.slice(0, placer.rows);
    this.remote = instr.remote;
    this.missed = false;
    this.since = 0;
    this.lastRequest = 0;
    this.first = 0;
    this.last = 0;
    this.extra_fs = 0;
    this.windowed = false;
    this.offset = placer.offset;
    this.cols = placer.cols;
    this.open = 0;
    this.through = 0;
    this.near = 0;
  }
}
