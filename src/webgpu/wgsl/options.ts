/** What the emitter is told of a device, and what it hands over. */
import type { Tensor } from '../../kernel/ir.js';
import type { SubgroupSizes } from '../../kernel/lanes.js';
import type { MatrixShape } from './matrix.js';
import type { Stored } from './types.js';

/** What the device offers; browsers and Dawn give at least DEFAULT_LIMITS (WebGPU §3.6.2). */
export interface EmitOptions {
  /** shader-f16 is there. */
  readonly f16?: boolean;
  /** Fewest and most lanes of a subgroup, to reduce by subgroup operations; absent: through workgroup memory alone. */
  readonly subgroup?: SubgroupSizes;
  /** The language feature packed_4x8_integer_dot_product is there. */
  readonly dot4?: boolean;
  /** Small integers are packed into words; true when absent. */
  readonly packed?: boolean;
  /** Multiply on subgroup matrices of this shape (f16 operands, f32 results); refuses programs that do not fit them. */
  readonly matrix?: MatrixShape;
  readonly workgroup_B?: number;
  readonly max_lanes?: number;
  readonly max_workgroups?: number;
  readonly storage_buffers?: number;
  /**
   * Hides the bounds of long loops from the compiler, so that it does not unroll them: a CPU device's compiler takes
   * tens of seconds over long straight code.
   */
  readonly compact?: boolean;
  /** Adds counters of every access. */
  readonly counting?: boolean;
}
export const DEFAULT_LIMITS = {
  workgroup_B: 16384,
  max_lanes: 256,
  max_workgroups: 65535,
  storage_buffers: 8,
} as const;

export interface Binding {
  /** A tensor's name, or `tables` or `counters`. */
  readonly name: string;
  readonly type: Stored;
  readonly elements: number;
  readonly tensor?: Tensor;
}
export interface ShaderText {
  readonly wgsl: string;
  readonly entry: 'main';
  readonly lanes: number;
  readonly workgroups: readonly [number, number, number];
  /** In order of their binding numbers. */
  readonly bindings: readonly Binding[];
  /** Contents of the `tables` buffer; empty when there is none. */
  readonly tables: readonly number[];
  /** What each counter counts, in order, when counting. */
  readonly counters: readonly string[];
  readonly workgroup_B: number;
  readonly barriers: number;
  /** What differs from the program: formats WGSL lacks, buffers folded. */
  readonly notes: readonly string[];
}
