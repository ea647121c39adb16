/**
 * A SCALE-Sim configuration and topology on our systolic array, with the figures that SCALE-Sim 3 prints beside ours
 * where it counts otherwise: a wait for the far side twice, written lines that are not full as full, the results of
 * each output-stationary fold with its rows and columns on top, and the number of the last cycle instead of how many.
 */
import { occupancyOf, utilisationOf } from '../../engine/systolic/dataflow.js';
import { type OperandTraffic, runSystolic, type Scratchpads, type SystolicRun } from '../../engine/systolic/run.js';
import type { ScaleSimConfig } from './config.js';
import type { Layer } from './topology.js';

export interface OperandReport {
  /** Words between scratchpad and array, and between DRAM and scratchpad. */
  readonly sram_words: number;
  readonly dram_words: number;
  readonly dram_first_cycle: number;
  readonly dram_last_cycle: number;
  readonly sram_words_per_cycle: number;
  readonly dram_words_per_cycle: number;
}

export interface LayerReport {
  /** Cycles the array works, those it waits, and both; then with what is fetched before and written after. */
  readonly compute_cycles: number;
  readonly stall_cycles: number;
  readonly cycles: number;
  readonly cycles_with_prefetch: number;
  /** Multiply–accumulates over what the array could do in `cycles`. */
  readonly utilisation: number;
  readonly ifmap: OperandReport;
  readonly filter: OperandReport;
  readonly ofmap: OperandReport;
}

export interface LayerResult extends LayerReport {
  readonly layer: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly folds: number;
  /** Of what the array could do while it works, and its elements that hold work. */
  readonly compute_utilisation: number;
  readonly mapping_efficiency: number;
  /** The same run as SCALE-Sim 3 counts it. */
  readonly as_scale_sim: LayerReport & { readonly compute_utilisation: number };
}

export interface ScaleSimResult {
  readonly machine: string;
  readonly array: { readonly rows: number; readonly cols: number; readonly dataflow: string };
  readonly cycles: number;
  readonly layers: readonly LayerResult[];
  readonly warnings: readonly string[];
}

/** Runs the layers one after another. */
export function simulateScaleSim(
  config: ScaleSimConfig,
  layers: readonly Layer[],
  onLayer?: (done: number, total: number) => void,
): ScaleSimResult {
  const results = layers.map((layer, i) => {
    const result = runLayer(config, layer);
    onLayer?.(i + 1, layers.length);
    return result;
  });
  return {
    machine: config.name,
    array: { rows: config.rows, cols: config.cols, dataflow: config.dataflow },
    cycles: results.reduce((sum, r) => sum + r.cycles, 0),
    layers: results,
    warnings: [
      ...config.warnings,
      'the configuration states neither clock nor energies: results are in cycles and words',
    ],
  };
}

function runLayer(config: ScaleSimConfig, { name, product }: Layer): LayerResult {
  const pads = (counting: Scratchpads['counting']): Scratchpads => ({
    a_words: config.sram_words.ifmap,
    b_words: config.sram_words.filter,
    c_words: config.sram_words.ofmap,
    widths: { a: config.bandwidth.ifmap, b: config.bandwidth.filter, c: config.bandwidth.ofmap },
    unlimited: config.unlimited,
    counting,
  });
  const macs = product.m * product.n * product.k;
  const run = runSystolic(product, config, pads('physical'));
  const { folds } = run;
  const [down, right, time] = folds.across;
  // its folds are longer by the skew over the columns, which it adds a second time
  const their_fold = folds.cycles_per_fold + (config.dataflow === 'os' ? 0 : folds.cols - 1);
  const their_writes = config.dataflow === 'os' ? folds.count[1] * down + folds.count[0] * right : 0;
  return {
    layer: name,
    m: product.m,
    n: product.n,
    k: product.k,
    folds: folds.count[0] * folds.count[1],
    ...report(run, macs, run.compute_cycles + run.stall_cycles, 0),
    compute_utilisation: utilisationOf(folds),
    mapping_efficiency: occupancyOf(folds),
    as_scale_sim: asScaleSim(),
  };

  function asScaleSim(): LayerResult['as_scale_sim'] {
    const theirs = runSystolic(product, config, pads('scale-sim'));
    return {
      ...report(theirs, macs, theirs.compute_cycles + theirs.stall_cycles - 1, their_writes),
      compute_cycles: theirs.compute_cycles - 1,
      cycles_with_prefetch: theirs.total_cycles - 1,
      compute_utilisation:
        (down * right * time) / (folds.rows * folds.cols * folds.count[0] * folds.count[1] * their_fold),
    };
  }
}

function report(run: SystolicRun, macs: number, cycles: number, extra_writes: number): LayerReport {
  const operand = (t: OperandTraffic, extra = 0): OperandReport => ({
    sram_words: t.near_words + extra,
    dram_words: t.far_words,
    dram_first_cycle: t.far_first_cycle,
    dram_last_cycle: t.far_last_cycle,
    sram_words_per_cycle: (t.near_words + extra) / cycles,
    dram_words_per_cycle: t.far_words / (t.far_last_cycle - t.far_first_cycle + 1),
  });
  return {
    compute_cycles: run.compute_cycles,
    stall_cycles: run.stall_cycles,
    cycles,
    cycles_with_prefetch: run.total_cycles,
    utilisation: macs / (cycles * run.folds.rows * run.folds.cols),
    ifmap: operand(run.a),
    filter: operand(run.b),
    ofmap: operand(run.c, extra_writes),
  };
}
