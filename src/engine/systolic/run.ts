/**
 * A product on a systolic array behind three double-buffered scratchpads: the array asks each cycle for what its ports
 * need, and all of it stands still while any buffer waits for the far side.
 */
import { DemandBuffer, PrefetchBuffer, type ReadBuffer, WriteBuffer } from './buffers.js';
import { type Dataflow, type Folds, fetchOrder, foldsOf, type Product, walk } from './dataflow.js';

export interface ArrayShape {
  readonly rows: number;
  readonly cols: number;
  readonly dataflow: Dataflow;
}

/** Capacities in words, widths of the far side in words a cycle. */
export interface Scratchpads {
  readonly a_words: number;
  readonly b_words: number;
  readonly c_words: number;
  readonly widths: { readonly a: number; readonly b: number; readonly c: number };
  /** Reads never wait: what the far side must bring is found out instead. */
  readonly unlimited?: boolean;
  /** `scale-sim`: waits count twice and written lines as full, as SCALE-Sim 3 prints them. */
  readonly counting: 'physical' | 'scale-sim';
}

/** One operand's traffic: near words between array and scratchpad, far words beyond it, with the cycles they span. */
export interface OperandTraffic {
  readonly near_words: number;
  readonly far_words: number;
  readonly far_first_cycle: number;
  readonly far_last_cycle: number;
}

export interface SystolicRun {
  readonly folds: Folds;
  /** Cycles the array works, fill and drain included, and those it waits in. */
  readonly compute_cycles: number;
  readonly stall_cycles: number;
  /** From the first far word to the last. */
  readonly total_cycles: number;
  readonly a: OperandTraffic;
  readonly b: OperandTraffic;
  readonly c: OperandTraffic;
}

/** @throws InputError for sizes that are not whole and positive */
export function runSystolic(p: Product, array: ArrayShape, pads: Scratchpads): SystolicRun {
  const folds = foldsOf(array.dataflow, p, array.rows, array.cols);
  const physical = pads.counting === 'physical';
  const reader = (operand: 'a' | 'b', capacity: number): ReadBuffer =>
    pads.unlimited
      ? new DemandBuffer(p.words[operand], capacity, pads.widths[operand])
      : new PrefetchBuffer(
          fetchOrder(array.dataflow, operand, p, folds),
          p.words[operand],
          capacity,
          pads.widths[operand],
          physical ? 'once' : 'twice',
        );
  const a = reader('a', pads.a_words);
  const b = reader('b', pads.b_words);
  const c = new WriteBuffer(pads.c_words, pads.widths.c, physical ? 'words' : 'lines');
  const near = { a: 0, b: 0, c: 0 };
  let cycle = 0;
  let stalls = 0;
  // requests of one cycle wait for one another within an operand, one cycle after they are made
  let a_at = 1;
  let b_at = 1;
  let c_words = 0;
  let last = 0;
  walk(array.dataflow, p, folds, {
    a: (address) => {
      near.a++;
      a_at = a.read(address, a_at);
    },
    b: (address) => {
      near.b++;
      b_at = b.read(address, b_at);
    },
    c: () => {
      c_words++;
    },
    cycle: () => {
      const now = cycle + stalls;
      near.c += c_words;
      last = c.write(c_words, now);
      stalls += Math.max(a_at - now - 1, b_at - now - 1, last - now);
      cycle++;
      c_words = 0;
      a_at = b_at = cycle + stalls + 1;
    },
  });
  a.end();
  b.end();
  c.empty(last);
  const read = (words: number, far: ReadBuffer): OperandTraffic => ({
    near_words: words,
    far_words: far.fetched,
    far_first_cycle: far.first_cycle,
    far_last_cycle: far.last_cycle,
  });
  return {
    folds,
    compute_cycles: folds.cycles,
    stall_cycles: stalls,
    total_cycles: c.last_cycle - Math.min(a.first_cycle, b.first_cycle) + 1,
    a: read(near.a, a),
    b: read(near.b, b),
    c: {
      near_words: near.c,
      far_words: c.written,
      far_first_cycle: c.first_cycle ?? last,
      far_last_cycle: c.last_cycle,
    },
  };
}
