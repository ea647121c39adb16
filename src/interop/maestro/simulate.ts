/**
 * Layers mapped in MAESTRO's data-centric notation on its machine of clusters, with the figures that the tool prints
 * beside ours where it counts otherwise: the slips named in traffic.ts; words written into L1 as words read from L2,
 * as if no place but one took each; outputs read from L2 to go off the chip as though the stride were 1; the bandwidth
 * off the chip taken up in every iteration by what only the first one fetches.
 */
import { type Static, Type } from '@sinclair/typebox';
import { positive } from '../../base/errors.js';
import { analyse, type LevelRun, NothingMade } from './analysis.js';
import type { MaestroHardware } from './hardware.js';
import { type Counting, type LevelsOfLayer, levelsOf, type Operand, WINDOW } from './levels.js';
import type { MaestroLayer, MaestroNetwork } from './network.js';

const Count = Type.Integer({ minimum: 0 });
// the tool's own counts can go below 0
const OperandSchema = Type.Object({
  l1_reads: Type.Integer(),
  l1_writes: Type.Integer(),
  l2_reads: Type.Integer(),
  l2_writes: Type.Integer(),
});
const SpreadSchema = Type.Object({ min: Type.Number(), max: Type.Number(), mean: Type.Number() });
const report = {
  cycles: Type.Integer({ minimum: 1 }),
  macs: Type.Integer({ minimum: 1, description: 'that the mapping does' }),
  active_pes: Type.Number({ minimum: 0, description: 'mean over the iterations' }),
  input: OperandSchema,
  filter: OperandSchema,
  output: OperandSchema,
  ingress_cycles: SpreadSchema,
  egress_cycles: SpreadSchema,
  compute_cycles: SpreadSchema,
  noc_words_per_cycle: Type.Object(
    { peak: Type.Number(), mean: Type.Number() },
    { description: 'that the outermost network has to carry for its clusters not to wait' },
  ),
  l1_words: Type.Integer({ minimum: 0, description: 'that a PE holds, double-buffered' }),
  l2_words: Type.Integer({ minimum: 0, description: 'that move in the first iteration, double-buffered' }),
};

export const MaestroSchema = Type.Object({
  network: Type.String(),
  pes: Count,
  cycles: Type.Integer({ minimum: 1 }),
  layers: Type.Array(
    Type.Object({
      layer: Type.String(),
      type: Type.String(),
      ...report,
      utilisation: Type.Number({
        minimum: 0,
        description: 'multiply–accumulates over what all PEs could do in cycles',
      }),
      as_maestro: Type.Optional(
        Type.Object(report, { description: 'the same layer as MAESTRO counts it, where it finds anything computed' }),
      ),
    }),
  ),
  warnings: Type.Array(Type.String()),
});
export type MaestroResult = Static<typeof MaestroSchema>;
export type MaestroLayerResult = MaestroResult['layers'][number];
type LayerReport = NonNullable<MaestroLayerResult['as_maestro']>;

/** The layers one after another. @throws InputError when a cluster does not fit the machine or nothing is computed */
export function simulateMaestro(
  network: MaestroNetwork,
  hardware: MaestroHardware,
  onLayer?: (done: number, total: number) => void,
): MaestroResult {
  const warnings = [...network.warnings];
  const layers = network.layers.map((layer, i) => {
    const result = runLayer(layer, hardware);
    warnings.push(...warningsOf(layer, result, hardware));
    onLayer?.(i + 1, network.layers.length);
    return result;
  });
  const cycles = layers.reduce((sum, l) => sum + l.cycles, 0);
  warnings.push('the files state neither clock nor energies: results are in cycles and words');
  return { network: network.name, pes: hardware.pes, cycles, layers, warnings };
}

function runLayer(layer: MaestroLayer, hardware: MaestroHardware): MaestroLayerResult {
  const counted = (counting: Counting): LayerReport => {
    const levels = levelsOf(layer, hardware.pes, counting);
    return reportOf(layer, levels, analyse(layer, levels, hardware, counting), counting);
  };
  const ours = counted('corrected');
  return {
    layer: layer.name,
    type: layer.type,
    ...ours,
    utilisation: ours.macs / (ours.cycles * hardware.pes * hardware.lanes),
    ...theirs(),
  };

  /** The tool takes a chunk larger than its dimension for one that comes after it, and then finds it empty. */
  function theirs(): Pick<MaestroLayerResult, 'as_maestro'> {
    try {
      const as_maestro = counted('maestro');
      return as_maestro.macs > 0 && as_maestro.cycles > 0 ? { as_maestro } : {};
    } catch (error) {
      if (error instanceof NothingMade) return {};
      throw error;
    }
  }
}

function reportOf(
  layer: MaestroLayer,
  { operands }: LevelsOfLayer,
  run: LevelRun & { pe_words: number },
  counting: Counting,
): LayerReport {
  const exact = counting === 'corrected';
  const { input, filter, output } = run.words;
  const size = (operand: Operand): number => operands[operand].reduce((n, dim) => n * layer.dims.get(dim)!, 1);
  const outputs = operands.output.reduce((n, dim) => n * outputsAlong(layer, dim, 1), 1);
  const checked = (value: number, what: string) => (exact ? positive(value, `layer ${layer.name}: ${what}`) : value);
  return {
    cycles: checked(run.cycles, 'cycles'),
    macs: checked(run.macs, 'multiply–accumulates'),
    active_pes: run.active_pes,
    input: { ...input, l2_writes: size('input') },
    filter: { ...filter, l2_writes: size('filter') },
    // a part of a sum that was written comes back for the next, or leaves
    output: { ...output, l2_reads: exact ? output.l2_writes : outputs },
    ingress_cycles: run.ingress,
    egress_cycles: run.egress,
    compute_cycles: run.compute,
    noc_words_per_cycle: { peak: run.peak_words_per_cycle, mean: run.mean_words_per_cycle },
    l1_words: run.pe_words,
    l2_words: run.upper_words.into + run.upper_words.out,
  };
}

function outputsAlong({ dims }: MaestroLayer, dim: string, stride: number): number {
  const window = dims.get(WINDOW[dim] ?? '') ?? 1;
  return Math.floor((dims.get(dim)! - window) / stride) + 1;
}

/** Multiply–accumulates of the layer, whatever the mapping. */
function macsOf(layer: MaestroLayer): number {
  let macs = 1;
  for (const dim of layer.dims.keys()) {
    if (layer.type === 'GEMM') macs *= layer.dims.get(dim)!;
    else if (dim !== 'K' || layer.type === 'CONV') macs *= outputsAlong(layer, dim, layer.stride.get(dim) ?? 1);
  }
  return macs;
}

function warningsOf(layer: MaestroLayer, result: MaestroLayerResult, hardware: MaestroHardware): string[] {
  const found: string[] = [];
  const say = (text: string) => found.push(`layer ${layer.name}: ${text}`);
  const macs = macsOf(layer);
  if (result.macs !== macs) say(`its mapping does ${result.macs} of the layer's ${macs} multiply–accumulates`);
  if (!result.as_maestro) say('MAESTRO finds nothing computed: a chunk is larger than its dimension');
  if (layer.type === 'DSCONV' && (layer.dims.get('K') ?? 1) > 1) say('K of a depth-wise layer is taken as 1');
  if (result.l1_words > hardware.l1_words)
    say(`a PE needs ${result.l1_words} words of L1, it has ${hardware.l1_words}`);
  if (result.l2_words > hardware.l2_words) say(`needs ${result.l2_words} words of L2, there are ${hardware.l2_words}`);
  return found;
}
