/** The commands, in the order of the help. A module of a command is loaded when it is asked for. */
import type { Command } from 'commander';

export interface CommandModule {
  /** Adds arguments, options and what it does. */
  define(command: Command): void;
}

interface Entry {
  readonly summary: string;
  load(): Promise<CommandModule>;
}

export const COMMANDS = {
  list: {
    summary: 'what there is: machines, workloads, kernels, claims, spaces',
    load: () => import('./list.js'),
  },
  simulate: {
    summary: 'replay a workload on a machine',
    load: () => import('./simulate.js'),
  },
  kernel: {
    summary: 'simulate one kernel, or print its program',
    load: () => import('./kernel.js'),
  },
  bounds: {
    summary: 'least I/O of a kernel, and what schedules move beside it',
    load: () => import('./bounds.js'),
  },
  roofline: {
    summary: 'draw the roofline of a machine, with the ops of a workload',
    load: () => import('./roofline.js'),
  },
  report: {
    summary: 'write the whole page for one or more runs',
    load: () => import('./report.js'),
  },
  explain: {
    summary: 'how a number came about: formula, values, sources',
    load: () => import('./explain.js'),
  },
  sweep: {
    summary: 'evaluate every point of a design space',
    load: () => import('./sweep.js'),
  },
  explore: {
    summary: 'search a design space',
    load: () => import('./explore.js'),
  },
  validate: {
    summary: 'measured times beside simulated ones',
    load: () => import('./validate.js'),
  },
  calibrate: {
    summary: 'measure this computer’s WebGPU device and write a machine description',
    load: () => import('./calibrate.js'),
  },
  device: {
    summary: 'the WebGPU adapters of this computer',
    load: () => import('./device.js'),
  },
  memory: {
    summary: 'replay addresses through a machine’s caches and DRAM',
    load: () => import('./memory.js'),
  },
  array: {
    summary: 'watch a product on a small systolic array, cycle by cycle',
    load: () => import('./array.js'),
  },
  reproduce: {
    summary: 'published results beside simulated ones',
    load: () => import('./reproduce.js'),
  },
  trace: {
    summary: 'show what a workload holds, write it as a trace, or import a profile',
    load: () => import('./trace.js'),
  },
  schema: {
    summary: 'print a JSON Schema, for editors and readers of --json',
    load: () => import('./schema.js'),
  },
} as const satisfies Record<string, Entry>;
