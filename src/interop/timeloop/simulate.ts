/** `kernel --from` for Timeloop's inputs: the mapping given or found, run, with the counts of each level and tensor. */
import { type Static, Type } from '@sinclair/typebox';
import { InputError } from '../../base/errors.js';
import { evaluateNest } from '../../engine/nest/evaluate.js';
import { flopsOf, recordOf } from '../../engine/nest/run.js';
import { searchNest } from '../../engine/nest/search.js';
import { KernelSimulationSchema } from '../../engine/simulation.js';
import { type EinsumNest, type Nest, readNest } from '../../kernel/nest.js';
import { nestText } from '../../kernel/nest-print.js';
import { type TextFile, type TimeloopInput, withSparsity } from './import.js';
import { rulesOf } from './rules.js';

const Count = Type.Number({ minimum: 0 });
const TensorSchema = Type.Object(
  {
    tensor: Type.String(),
    tile: Type.Number({ description: 'words of the largest tile of one instance' }),
    partition: Type.Number({ description: 'words of the tensor that one instance ever holds' }),
    instances: Count,
    reads: Count,
    fills: Count,
    updates: Count,
    reductions: Count,
  },
  { description: 'words of one instance over the run', additionalProperties: true },
);

export const TimeloopSchema = Type.Composite(
  [
    KernelSimulationSchema,
    Type.Object({
      detail: Type.Object({
        cycles: Count,
        compute_cycles: Count,
        computes: Count,
        sparse_computes: Type.Optional(
          Type.Object({ actual: Count, gated: Count, skipped: Count }, { description: 'where zeros are made use of' }),
        ),
        utilisation: Count,
        places: Count,
        places_all: Count,
        energy_pJ: Count,
        compute_pJ: Count,
        nest: Type.Array(Type.String()),
        stores: Type.Array(
          Type.Object({
            store: Type.String(),
            level: Type.String(),
            cycles: Count,
            used: Type.Number({ description: 'words of all tiles of one instance' }),
            capacity: Type.Union([Count, Type.Null()], { description: 'words; null where there is no limit' }),
            instances: Count,
            energy_pJ: Count,
            leakage_pJ: Count,
            tensors: Type.Array(TensorSchema),
          }),
        ),
        networks: Type.Array(
          Type.Object({
            level: Type.String(),
            tensor: Type.String(),
            sent: Type.Number({ description: 'words that leave the level, all instances' }),
            delivered: Count,
            linked: Type.Number({ description: 'words that neighbours hand on' }),
            energy_pJ: Count,
          }),
        ),
      }),
    }),
  ],
  { $id: 'kernel-timeloop' },
);
export type TimeloopResult = Static<typeof TimeloopSchema>;

/**
 * The user's own nest (JSON), the input's mapping, or the best that a search finds under the input's constraints.
 * @throws InputError, InfeasibleError
 */
export function nestFor(
  input: TimeloopInput,
  own?: TextFile,
  seed = 0,
): { readonly nest: EinsumNest; readonly tried: number } {
  if (own) {
    const { stages } = readNest(own.text, own.file);
    if (stages.length !== 1 || stages[0]!.nests.length !== 1)
      throw new InputError('has several einsums, the input has one', own.file);
    return { nest: withSparsity(stages[0]!.nests[0]!, input.sparsity), tried: 0 };
  }
  if (input.nest) return { nest: input.nest, tried: 0 };
  const { cascade, einsum, machine, constraints, objective } = input;
  const found = searchNest(cascade, einsum, machine.graph, machine.graph.units[0]!.id, {
    rules: rulesOf(constraints),
    objective,
    seed,
    ...(input.sparsity && { sparsity: input.sparsity }),
  });
  return { nest: withSparsity(found.nest, input.sparsity), tried: found.tried };
}

/** @throws InputError, InfeasibleError */
export function simulateTimeloop(input: TimeloopInput, laid: EinsumNest, tried: number): TimeloopResult {
  const { machine, cascade, einsum } = input;
  const { graph } = machine;
  const nest: Nest = { shared: [], stages: [{ nests: [laid] }] };
  const result = evaluateNest(nest, cascade, graph);
  const run = recordOf(result, cascade, graph, { launch: 'graph' });
  const a = result.einsums[0]!;
  const bytes = (by: typeof run.requested_B) =>
    Object.fromEntries(Object.entries(by).map(([id, t]) => [id, t.read_B + t.write_B]));
  const flops = flopsOf(result, cascade);
  const least_s = ((a.computes / a.places_all) * (a.compute_cycles / (a.computes / a.places))) / run.clock_Hz;
  return {
    machine: graph.name,
    kernel: einsum.name,
    tile: {},
    fidelity: 'steady',
    time_s: run.time_s,
    launch_s: run.launch_s,
    energy_J: run.energy_J,
    power_W: run.power_W,
    flops,
    flops_executed: flops,
    requested_B: bytes(run.requested_B),
    moved_B: bytes(run.moved_B),
    bound_by: run.bound_by,
    roof_fraction: least_s / run.time_s,
    energy_by_part_J: run.energy_by_part_J,
    bound_s: least_s,
    clock_Hz: run.clock_Hz,
    busy_s: run.busy_s,
    launches: [{ program: einsum.name, time_s: run.time_s }],
    tried,
    warnings: [...input.warnings],
    detail: {
      cycles: result.cycles,
      compute_cycles: a.compute_cycles,
      computes: a.computes,
      ...(a.sparse_computes && { sparse_computes: { ...a.sparse_computes } }),
      utilisation: a.utilisation,
      places: a.places,
      places_all: a.places_all,
      energy_pJ: result.energy_pJ,
      compute_pJ: a.compute_pJ,
      nest: nestText(nest, cascade, graph).split('\n'),
      stores: a.stores.map((s) => ({
        ...s,
        capacity: Number.isFinite(s.capacity) ? s.capacity : null,
        tensors: s.tensors.map((t) => ({ ...t })),
      })),
      networks: a.networks.map((n) => ({ ...n })),
    },
  };
}
