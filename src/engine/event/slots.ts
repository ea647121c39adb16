/**
 * Where each workgroup stands. A slot is a place for one on a core, `resident` of them a core; its state is in flat
 * arrays, by slot, and by slot and tile, loop or index variable.
 */
import type { Instr, Plan } from './plan.js';

/** What a slot waits for: nothing that has no event of its own, its blocking loads, or (0 and up) a landing. */
export const NOTHING = -1;
export const LOADS = -2;

export class Slots {
  readonly count: number;
  readonly tiles: number;
  /** Next instruction; indices of grid and loops; bounds of the loops it is in. */
  readonly pc: Int32Array;
  readonly env: Int32Array;
  readonly loopFrom: Int32Array;
  readonly loopTo: Int32Array;
  /** By tile: when its result can be read, whether a matrix unit made it, which buffer the running iteration reads. */
  readonly ready: Float64Array;
  readonly byMma: Uint8Array;
  readonly current: Int32Array;
  /** By tile and buffer: when the copy into it has landed (Infinity while unknown), and what took it longest. */
  readonly landing: Float64Array;
  readonly landingCause: Uint8Array;
  readonly buffers: number;
  /** Shared tiles written, and read, since the last barrier. */
  private readonly dirty: Int32Array;
  private readonly used: Int32Array;

  readonly waits: Int32Array;
  readonly waitSince: Float64Array;
  /** Blocking loads: how many have not landed, when the last of those known does, and what took it longest. */
  readonly loadsOpen: Int32Array;
  readonly loadsUntil: Float64Array;
  readonly loadsCause: Uint8Array;

  readonly busy: Uint8Array;
  /** When its last store has left the core; since when it is free, or 0 if it never held a workgroup. */
  readonly departs: Float64Array;
  readonly freeSince: Float64Array;

  constructor(
    plan: Plan,
    cores: number,
    private readonly resident: number,
  ) {
    const n = cores * resident;
    const tiles = plan.tiles.length;
    this.count = n;
    this.tiles = tiles;
    this.buffers = plan.maxStages;
    this.pc = new Int32Array(n);
    this.env = new Int32Array(n * plan.variables);
    this.loopFrom = new Int32Array(n * plan.loops);
    this.loopTo = new Int32Array(n * plan.loops);
    this.ready = new Float64Array(n * tiles);
    this.byMma = new Uint8Array(n * tiles);
    this.current = new Int32Array(n * tiles);
    this.landing = new Float64Array(n * tiles * this.buffers);
    this.landingCause = new Uint8Array(n * tiles * this.buffers);
    this.dirty = new Int32Array(n);
    this.used = new Int32Array(n);
    this.waits = new Int32Array(n).fill(NOTHING);
    this.waitSince = new Float64Array(n);
    this.loadsOpen = new Int32Array(n);
    this.loadsUntil = new Float64Array(n);
    this.loadsCause = new Uint8Array(n);
    this.busy = new Uint8Array(n);
    this.departs = new Float64Array(n);
    this.freeSince = new Float64Array(n);
  }

  core(slot: number): number {
    return Math.floor(slot / this.resident);
  }

  /** A free slot of the core, made ready for a new workgroup. There must be one. */
  take(core: number, now: number): number {
    let slot = core * this.resident;
    while (this.busy[slot] === 1) slot++;
    const { tiles, buffers } = this;
    this.busy[slot] = 1;
    this.ready.fill(0, slot * tiles, (slot + 1) * tiles);
    this.byMma.fill(0, slot * tiles, (slot + 1) * tiles);
    this.current.fill(0, slot * tiles, (slot + 1) * tiles);
    this.landing.fill(0, slot * tiles * buffers, (slot + 1) * tiles * buffers);
    this.pc[slot] = 0;
    this.dirty[slot] = 0;
    this.used[slot] = 0;
    this.departs[slot] = now;
    this.loadsUntil[slot] = 0;
    return slot;
  }

  /** Place of the landing of a copy into a buffer of a tile. */
  place(slot: number, tile: number, buffer: number): number {
    return (slot * this.tiles + tile) * this.buffers + buffer;
  }

  /** The tiles that a loop's copies fill ahead now stand for its n-th iteration. */
  turn(i: Instr, slot: number, n: number): void {
    for (const a of i.ahead) this.current[slot * this.tiles + a.tile] = n % a.stages;
    this.dirty[slot] = this.dirty[slot]! | i.aheadMask;
  }

  /** Whether a barrier must come first: it reads what others wrote, or writes what others read. Then all is in order. */
  barrierBefore(i: Instr, slot: number): boolean {
    if ((this.dirty[slot]! & i.readMask) === 0 && (this.used[slot]! & i.writeMask) === 0) return false;
    this.dirty[slot] = 0;
    this.used[slot] = 0;
    return true;
  }

  /** The instruction reads and writes its shared tiles. */
  touches(i: Instr, slot: number): void {
    this.dirty[slot] = this.dirty[slot]! | i.writeMask;
    this.used[slot] = this.used[slot]! | i.readMask;
  }
}
