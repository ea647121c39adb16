/**
 * A cache at the granularity of blocks (tile-sized pieces of tensors), least recently used out first, all in typed
 * arrays. A block knows when its data is there, so that a request for one on its way waits for that and is not
 * fetched twice; and how many of its bytes were written since it came.
 *
 * It starts full: what a run does not find of its own is foreign, left by other kernels and older than anything of the
 * run's. A share of that is dirty, so that the first to need room pay for what others wrote, as others will for them.
 */
export class BlockCache {
  used_B = 0;
  /** Dirty bytes that the last `insert` pushed out, to be written back: of the run's own blocks, and foreign ones. */
  evicted_dirty_B = 0;
  evicted_foreign_B = 0;
  private foreign_B = 0;
  private foreignDirty = 0;
  private readonly size: Float64Array;
  private readonly dirty: Float64Array;
  /** When the first and the last byte of a resident block are there. */
  readonly first: Float64Array;
  readonly last: Float64Array;
  /** Circular list through entry `n` (the head): next is less recent. */
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private readonly head: number;

  constructor(
    readonly blocks: number,
    readonly capacity_B: number,
  ) {
    this.size = new Float64Array(blocks);
    this.dirty = new Float64Array(blocks);
    this.first = new Float64Array(blocks);
    this.last = new Float64Array(blocks);
    this.next = new Int32Array(blocks + 1);
    this.previous = new Int32Array(blocks + 1);
    this.head = blocks;
    this.next[blocks] = blocks;
    this.previous[blocks] = blocks;
  }

  /** Fills what is free with foreign data, `dirty` (0 to 1) of it to be written back. */
  fillWithForeign(dirty: number): void {
    this.foreign_B = this.capacity_B - this.used_B;
    this.foreignDirty = dirty;
  }

  has(block: number): boolean {
    return this.size[block]! > 0;
  }

  /** Makes a resident block the most recent. */
  touch(block: number): void {
    const { next, previous, head } = this;
    if (next[head] === block) return;
    const p = previous[block]!;
    const n = next[block]!;
    next[p] = n;
    previous[n] = p;
    const top = next[head]!;
    next[head] = block;
    previous[block] = head;
    next[block] = top;
    previous[top] = block;
  }

  /** Brings in a block whose data is there from `first` to `last`; pushes out the oldest until it fits. */
  insert(block: number, bytes: number, first: number, last: number): void {
    this.evicted_dirty_B = 0;
    this.evicted_foreign_B = 0;
    if (bytes <= 0) return;
    const excess = this.used_B + this.foreign_B + bytes - this.capacity_B;
    if (excess > 0 && this.foreign_B > 0) {
      const out = Math.min(this.foreign_B, excess);
      this.foreign_B -= out;
      this.evicted_foreign_B = out * this.foreignDirty;
    }
    const { next, previous, head, size } = this;
    while (this.used_B + bytes > this.capacity_B && previous[head] !== head) this.remove(previous[head]!);
    if (bytes > this.capacity_B) return;
    size[block] = bytes;
    this.first[block] = first;
    this.last[block] = last;
    this.dirty[block] = 0;
    this.used_B += bytes;
    const top = next[head]!;
    next[head] = block;
    previous[block] = head;
    next[block] = top;
    previous[top] = block;
  }

  /** Marks bytes of a resident block as written; never more than the block holds. */
  write(block: number, bytes: number): void {
    this.dirty[block] = Math.min(this.size[block]!, this.dirty[block]! + bytes);
  }

  dirtyBytes(block: number): number {
    return this.dirty[block]!;
  }

  private remove(block: number): void {
    const { next, previous, size, dirty } = this;
    const p = previous[block]!;
    const n = next[block]!;
    next[p] = n;
    previous[n] = p;
    this.used_B -= size[block]!;
    this.evicted_dirty_B += dirty[block]!;
    size[block] = 0;
    dirty[block] = 0;
  }
}
