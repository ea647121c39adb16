/** Families of machines: a schema of each in its own terms, and how it lowers to the resource graph. */
import type { Static, TSchema } from '@sinclair/typebox';
import { lowerCpu } from './cpu.js';
import { CpuSchema } from './cpu-schema.js';
import { lowerGpu } from './gpu.js';
import { GpuSchema } from './gpu-schema.js';
import type { ResourceGraph } from './graph.js';

export const FAMILY_NAMES = ['gpu', 'cpu'] as const;
export type Family = (typeof FAMILY_NAMES)[number];

export interface FamilyDefinition<S extends TSchema = TSchema> {
  readonly schema: S;
  /** Resolved numbers in base units → resource graph. Throws InputError where fields contradict one another. */
  lower(machine: Static<S>, file: string): ResourceGraph;
}

export const FAMILIES = {
  gpu: { schema: GpuSchema, lower: lowerGpu } satisfies FamilyDefinition<typeof GpuSchema>,
  cpu: { schema: CpuSchema, lower: lowerCpu } satisfies FamilyDefinition<typeof CpuSchema>,
} satisfies Record<Family, unknown>;
