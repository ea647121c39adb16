/** What a device is asked to do and what it answers; plain data, so that it can cross a process boundary. */

/** A storage buffer. `data` is written before the first step; without it the buffer starts as zeros. */
export interface JobBuffer {
  readonly name: string;
  readonly size_B: number;
  readonly data?: Uint8Array;
}

/** One dispatch. Binding i of group 0 is the buffer named `bindings[i]`. */
export interface JobStep {
  /** Names the shader in errors. */
  readonly name: string;
  readonly wgsl: string;
  readonly entry: string;
  readonly workgroups: readonly [number, number, number];
  readonly bindings: readonly string[];
}

export interface TimingRequest {
  /** Timed batches of all steps; 30 when absent. */
  readonly repeats?: number;
  /** A batch repeats the steps until it takes at least this long; 2 ms when absent. */
  readonly batch_s?: number;
  /** Fewer repeats (at least 5) rather than more time than this; 10 s when absent. */
  readonly limit_s?: number;
  /** `timestamps` where the device has them, when absent. */
  readonly clock?: 'timestamps' | 'host';
}

export interface Job {
  readonly buffers: readonly JobBuffer[];
  readonly steps: readonly JobStep[];
  /** Buffers whose contents are wanted after one run of the steps from the initial contents. */
  readonly read: readonly string[];
  readonly timing?: TimingRequest;
  /** Only compile the shaders. */
  readonly compileOnly?: boolean;
}

/** Time of one run of all steps. */
export interface Timing {
  /** A low quantile over batches: on a shared machine disturbances only add. */
  readonly time_s: number;
  /** 95 % confidence interval of that quantile, from order statistics. */
  readonly lo_s: number;
  readonly hi_s: number;
  readonly quantile: number;
  readonly median_s: number;
  /** Per batch ÷ runs per batch, in the order measured. */
  readonly samples_s: readonly number[];
  readonly runs_per_batch: number;
  readonly clock: 'timestamps' | 'host';
}

export interface JobResult {
  readonly read: Record<string, Uint8Array>;
  readonly timing?: Timing;
  /** Seconds that compiling took, per step (0 where the shader was compiled before). */
  readonly compile_s: readonly number[];
  /** Seconds of the first run of the steps; some drivers (lavapipe) compile only then. */
  readonly first_run_s: number;
}

export interface AdapterInfo {
  /** As the driver names it. */
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  /** A software device: its "GPU" is the CPU. */
  readonly fallback: boolean;
  readonly features: readonly string[];
  readonly language_features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** Lanes that a subgroup may have; 0 where there are no subgroups. */
  readonly subgroup: readonly [min: number, max: number];
  /** Products that its subgroup matrices offer; empty where there are none. */
  readonly subgroup_matrix: readonly {
    readonly m: number;
    readonly n: number;
    readonly k: number;
    readonly operand: string;
    readonly result: string;
  }[];
}
