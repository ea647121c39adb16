/** Families of machines: a schema of each in its own terms, and how it lowers to the resource graph. */
import type { Static, TSchema } from '@sinclair/typebox';
import type { Calibratable } from './calibratable.js';
import { lowerCpu } from './cpu.js';
import { CpuSchema } from './cpu-schema.js';
import { lowerGpu } from './gpu.js';
import { GPU_CALIBRATION } from './gpu-calibration.js';
import { GpuSchema } from './gpu-schema.js';
import type { ResourceGraph } from './graph.js';
import { lowerSpatial } from './spatial.js';
import { SpatialSchema } from './spatial-schema.js';

export const FAMILY_NAMES = ['gpu', 'cpu', 'spatial'] as const;
export type Family = (typeof FAMILY_NAMES)[number];

export interface FamilyDefinition<S extends TSchema = TSchema> {
  readonly schema: S;
  /** Resolved numbers in base units → resource graph. Throws InputError where fields contradict one another. */
  lower(machine: Static<S>, file: string): ResourceGraph;
  /** What a calibration from measured times may change. */
  readonly calibratable: readonly Calibratable[];
}

export const FAMILIES = {
  gpu: { schema: GpuSchema, lower: lowerGpu, calibratable: GPU_CALIBRATION } satisfies FamilyDefinition<
    typeof GpuSchema
  >,
  cpu: { schema: CpuSchema, lower: lowerCpu, calibratable: [] } satisfies FamilyDefinition<typeof CpuSchema>,
  spatial: { schema: SpatialSchema, lower: lowerSpatial, calibratable: [] } satisfies FamilyDefinition<
    typeof SpatialSchema
  >,
} satisfies Record<Family, unknown>;
