/**
 * Binary heap of events in total order (time, id): ids count up as events are made, so that of two at the same time
 * the one made first comes first, whatever the heap's inner order. Typed arrays throughout: nothing is allocated per
 * event. (flatqueue gives no order between equal times.)
 */
export class EventHeap {
  length = 0;
  /** Events ever pushed. */
  made = 0;
  /** Of the event popped last. */
  time = 0;
  kind = 0;
  arg = 0;
  private times: Float64Array;
  private ids: Float64Array;
  private kinds: Uint8Array;
  private args: Int32Array;

  constructor(capacity = 1024) {
    this.times = new Float64Array(capacity);
    this.ids = new Float64Array(capacity);
    this.kinds = new Uint8Array(capacity);
    this.args = new Int32Array(capacity);
  }

  push(time: number, kind: number, arg: number): void {
    if (this.length === this.times.length) this.grow();
    const { times, ids, kinds, args } = this;
    const id = this.made++;
    let at = this.length++;
    // A new event has the greatest id: it rises only past strictly later ones.
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (times[up]! <= time) break;
      times[at] = times[up]!;
      ids[at] = ids[up]!;
      kinds[at] = kinds[up]!;
      args[at] = args[up]!;
      at = up;
    }
    times[at] = time;
    ids[at] = id;
    kinds[at] = kind;
    args[at] = arg;
  }

  /** Takes the earliest event into `time`, `kind`, `arg`; false when there is none. */
  pop(): boolean {
    if (this.length === 0) return false;
    const { times, ids, kinds, args } = this;
    this.time = times[0]!;
    this.kind = kinds[0]!;
    this.arg = args[0]!;
    const last = --this.length;
    if (last === 0) return true;
    const time = times[last]!;
    const id = ids[last]!;
    const kind = kinds[last]!;
    const arg = args[last]!;
    const half = last >> 1;
    let at = 0;
    while (at < half) {
      let child = 2 * at + 1;
      const right = child + 1;
      if (
        right < last &&
        (times[right]! < times[child]! || (times[right]! === times[child]! && ids[right]! < ids[child]!))
      )
        child = right;
      if (times[child]! > time || (times[child]! === time && ids[child]! > id)) break;
      times[at] = times[child]!;
      ids[at] = ids[child]!;
      kinds[at] = kinds[child]!;
      args[at] = args[child]!;
      at = child;
    }
    times[at] = time;
    ids[at] = id;
    kinds[at] = kind;
    args[at] = arg;
    return true;
  }

  private grow(): void {
    const n = this.times.length * 2;
    const times = new Float64Array(n);
    times.set(this.times);
    const ids = new Float64Array(n);
    ids.set(this.ids);
    const kinds = new Uint8Array(n);
    kinds.set(this.kinds);
    const args = new Int32Array(n);
    args.set(this.args);
    this.times = times;
    this.ids = ids;
    this.kinds = kinds;
    this.args = args;
  }
}
