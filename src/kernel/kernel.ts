/**
 * A kernel: one way to compute an op, as one file in `library/`. It states the math, its parameters with their legal
 * ranges, the tile programs for a choice of them, and a reference in plain loops.
 */

import type { DType } from '../base/dtype.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { Op, OpKind } from '../workload/op.js';
import type { Bookkeeping } from './bookkeeping.js';
import type { Program } from './ir.js';
import type { Nest } from './nest.js';

/** Tile sizes, stages, splits: whole numbers by name. */
export type Params = Readonly<Record<string, number>>;

/**
 * How a program is laid on a machine: levels to stores, loops to space and time, operations to units.
 * On a machine of cores the grid goes to cores and lanes to the lanes of a core.
 */
export interface Mapping {
  /** Lanes (threads) of one workgroup. */
  readonly lanes: number;
  /** Lane groups along rows × columns of an mma's accumulator. */
  readonly partition: readonly [rows: number, cols: number];
  /** Workgroups per core at most (0: as many as fit). */
  readonly resident: number;
  /** Grid points are rasterised in panels of this many along grid[1] (1: plain row-major, grid[0] fastest). */
  readonly panel: number;
  /**
   * Workgroups along grid[0] × grid[1] that run together on neighbouring cores and share what they read: a tile whose
   * place does not depend on an index is read once from the machine-wide cache and multicast along it. [1, 1] if absent.
   */
  readonly cluster?: readonly [number, number];
  /** The unit that `mma` binds to: matrix instructions, or plain multiply–adds on each lane's register tile. */
  readonly mma: 'matrix' | 'vector';
  /** Lanes of the widest matrix instruction that `mma` may bind to: kernels written for an older one. Any if absent. */
  readonly widest?: number;
  /** Once a workgroup, and in each iteration of a loop, besides the statements. */
  readonly bookkeeping?: { readonly start: Bookkeeping; readonly step: Bookkeeping };
  /** A lane group reads its operands from shared storage first and multiplies then: no fragments are read ahead. */
  readonly operandsFirst?: boolean;
  /** On arrays of PEs: the nests that the program's cascade of einsums is laid out in; lanes and cores then play no part. */
  readonly nest?: Nest;
}

/** One kernel launch. */
export interface Launch {
  readonly program: Program;
  readonly mapping: Mapping;
}

export interface ParamDef {
  readonly description: string;
  /** Legal values, ascending. */
  readonly values: readonly number[];
  readonly default: number;
}

export interface ShapeKey {
  readonly description: string;
  readonly default?: number;
  /** Words accepted for the value: each stands for its position. */
  readonly words?: readonly string[];
}

export interface Kernel<K extends OpKind = OpKind> {
  readonly name: string;
  /** The family that `tilewright kernel NAME` and pins may use for any of several kernels, e.g. attention. */
  readonly family: string;
  /** One line: the math it does. */
  readonly math: string;
  readonly op: K;
  /** Keys of `--shape` in order, with defaults where a key may be left out. */
  readonly shape: Readonly<Record<string, ShapeKey>>;
  readonly params: Readonly<Record<string, ParamDef>>;
  /** An op from `--shape` and dtype; throws InputError on what is missing or illegal. */
  toOp(shape: Readonly<Record<string, number>>, dtype: DType): Extract<Op, { kind: K }>;
  /** Why this kernel cannot compute this op on this machine; undefined when it can. */
  rejects(op: Extract<Op, { kind: K }>, machine: ResourceGraph): string | undefined;
  /** Parameter choices worth trying, in a fixed order. Some may not fit; `residency` says so. */
  candidates(op: Extract<Op, { kind: K }>, machine: ResourceGraph): Iterable<Params>;
  /** The launches for one choice. Cheap: it runs inside search loops. */
  build(op: Extract<Op, { kind: K }>, params: Params, machine: ResourceGraph): readonly Launch[];
  /**
   * Plain loops in fp64: outputs (by tensor name) from inputs (by tensor name, row-major in the tensor's dims).
   * The names are those of the programs' tensors.
   */
  reference(op: Extract<Op, { kind: K }>, inputs: Readonly<Record<string, Float64Array>>): Record<string, Float64Array>;
}
