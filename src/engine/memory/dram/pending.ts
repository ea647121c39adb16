/** Which pieces of memory have a request waiting: a hash table from a piece's number to a small number, linear probing. */
export class PendingTable {
  private keys: Float64Array;
  private values: Int32Array;
  private mask: number;
  private used = 0;

  constructor(expected: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(8, expected * 4)));
    this.keys = new Float64Array(size);
    this.values = new Int32Array(size).fill(-1);
    this.mask = size - 1;
  }

  private home(key: number): number {
    const folded = key < 4294967296 ? key | 0 : ((key % 4294967296) ^ (key / 4294967296)) | 0;
    const mixed = Math.imul(folded, 0x9e3779b1);
    return (mixed ^ (mixed >>> 15)) & this.mask;
  }

  /** The value under `key`, or -1. */
  get(key: number): number {
    if (this.used === 0) return -1;
    for (let i = this.home(key); ; i = (i + 1) & this.mask) {
      const value = this.values[i]!;
      if (value < 0) return -1;
      if (this.keys[i] === key) return value;
    }
  }

  /** Sets a key that is not there; `value` from 0. */
  add(key: number, value: number): void {
    if (this.used * 2 > this.mask) this.grow();
    let i = this.home(key);
    while (this.values[i]! >= 0) i = (i + 1) & this.mask;
    this.keys[i] = key;
    this.values[i] = value;
    this.used++;
  }

  /** Removes a key that is there. */
  remove(key: number): void {
    const { keys, values, mask } = this;
    let i = this.home(key);
    while (keys[i] !== key || values[i]! < 0) i = (i + 1) & mask;
    // what stands behind moves up, so that probing never meets a gap
    for (let j = i; ; ) {
      j = (j + 1) & mask;
      if (values[j]! < 0) break;
      const home = this.home(keys[j]!);
      if (((j - home) & mask) >= ((j - i) & mask)) {
        keys[i] = keys[j]!;
        values[i] = values[j]!;
        i = j;
      }
    }
    values[i] = -1;
    this.used--;
  }

  private grow(): void {
    const { keys, values } = this;
    this.keys = new Float64Array(keys.length * 2);
    this.values = new Int32Array(keys.length * 2).fill(-1);
    this.mask = keys.length * 2 - 1;
    this.used = 0;
    for (let i = 0; i < keys.length; i++) if (values[i]! >= 0) this.add(keys[i]!, values[i]!);
  }
}
