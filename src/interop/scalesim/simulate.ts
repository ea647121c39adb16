/**
 * A SCALE-Sim configuration and topology on our systolic array, with the figures that SCALE-Sim 3 prints beside ours
 * where it counts otherwise: a wait for the far side twice, written lines that are not full as full, the results of
 * each output-stationary fold with its rows and columns on top, and the number of the last cycle instead of how many.
 */
import { type Static, Type } from '@sinclair/typebox';
import { InputError } from '../../base/errors.js';
import { foldsOf, occupancyOf, utilisationOf } from '../../engine/systolic/dataflow.js';
import { type OperandTraffic, runSystolic, type Scratchpads, type SystolicRun } from '../../engine/systolic/run.js';
import type { ScaleSimConfig } from './config.js';
import type { Layer } from './topology.js';

const Count = Type.Integer({ minimum: 0 });
const OperandSchema = Type.Object({
  sram_words: Type.Integer({ minimum: 0, description: 'between scratchpad and array' }),
  dram_words: Type.Integer({ minimum: 0, description: 'between DRAM and scratchpad' }),
  dram_first_cycle: Type.Integer({ description: 'before 0: there when the array starts' }),
  dram_last_cycle: Type.Integer(),
  sram_words_per_cycle: Type.Number({ minimum: 0 }),
  dram_words_per_cycle: Type.Number({ minimum: 0 }),
});
const report = {
  compute_cycles: Type.Integer({ minimum: 0, description: 'the array works, fill and drain included' }),
  stall_cycles: Type.Integer({ minimum: 0, description: 'the array waits for a scratchpad' }),
  cycles: Type.Integer({ minimum: 0, description: 'both' }),
  cycles_with_prefetch: Type.Integer({ minimum: 0, description: 'and what is fetched before and written after' }),
  utilisation: Type.Number({ minimum: 0, description: 'multiply–accumulates over what the array could do in cycles' }),
  ifmap: OperandSchema,
  filter: OperandSchema,
  ofmap: OperandSchema,
};
const compute_utilisation = Type.Number({ minimum: 0, description: 'of what the array could do while it works' });

export const ScaleSimSchema = Type.Object({
  machine: Type.String(),
  array: Type.Object({ rows: Count, cols: Count, dataflow: Type.String() }),
  cycles: Type.Integer({ minimum: 1 }),
  layers: Type.Array(
    Type.Object({
      layer: Type.String(),
      m: Count,
      n: Count,
      k: Count,
      folds: Count,
      ...report,
      compute_utilisation,
      mapping_efficiency: Type.Number({ minimum: 0, description: 'elements that hold work, over folds' }),
      as_scale_sim: Type.Object(
        { ...report, compute_utilisation },
        { description: 'the same run as SCALE-Sim 3 counts it' },
      ),
    }),
  ),
  warnings: Type.Array(Type.String()),
});
type OperandReport = Static<typeof OperandSchema>;
export type ScaleSimResult = Static<typeof ScaleSimSchema>;
export type LayerResult = ScaleSimResult['layers'][number];
type LayerReport = Omit<LayerResult['as_scale_sim'], 'compute_utilisation'>;

/** Cycles are walked one by one: beyond, a layer would take days. */
const MOST_CYCLES = 2 ** 32;

/**
 * Runs the layers one after another.
 * @throws InputError for a layer too large to walk
 */
export function simulateScaleSim(
  config: ScaleSimConfig,
  layers: readonly Layer[],
  onLayer?: (done: number, total: number) => void,
): ScaleSimResult {
  for (const { name, product } of layers) {
    const { cycles } = foldsOf(config.dataflow, product, config.rows, config.cols);
    if (cycles > MOST_CYCLES)
      throw new InputError(`takes ${cycles} cycles; at most ${MOST_CYCLES} can be simulated`, `layer '${name}'`);
  }
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
      ...results.flatMap((r) => fetchedAgain(config, r)),
    ],
  };
}

/** Of what stays in the array each word is needed once; more is the prefetcher's doing. */
function fetchedAgain({ dataflow }: ScaleSimConfig, { layer, m, n, k, ifmap, filter }: LayerResult): string[] {
  if (dataflow === 'os') return [];
  const name = dataflow === 'ws' ? 'filter' : 'input';
  const times = dataflow === 'ws' ? filter.dram_words / (k * n) : ifmap.dram_words / (k * m);
  if (times < 2) return [];
  return [
    `layer '${layer}': ${name} words come ${Math.round(times)} times. The prefetcher, as SCALE-Sim has it, keeps one order, top row of a fold first; the array loads the bottom row first. Where the buffer ends within a fold the whole order passes again`,
  ];
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
    ...reportOf(run, macs, run.compute_cycles + run.stall_cycles, 0),
    compute_utilisation: utilisationOf(folds),
    mapping_efficiency: occupancyOf(folds),
    as_scale_sim: asScaleSim(),
  };

  function asScaleSim(): LayerResult['as_scale_sim'] {
    const theirs = runSystolic(product, config, pads('scale-sim'));
    return {
      ...reportOf(theirs, macs, theirs.compute_cycles + theirs.stall_cycles - 1, their_writes),
      compute_cycles: theirs.compute_cycles - 1,
      cycles_with_prefetch: theirs.total_cycles - 1,
      compute_utilisation:
        (down * right * time) / (folds.rows * folds.cols * folds.count[0] * folds.count[1] * their_fold),
    };
  }
}

function reportOf(run: SystolicRun, macs: number, cycles: number, extra_writes: number): LayerReport {
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
