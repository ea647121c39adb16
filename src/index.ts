/** The package as a library: the core, which runs in Node and in browsers. Texts go in; nothing is read from disk. */
export { asDType, bytesOf, DTYPES, type DType } from './base/dtype.js';
export { InfeasibleError, InputError, TilewrightError, ToleranceError } from './base/errors.js';
export { runLaunches } from './engine/run.js';
export { type KernelOptions, type SimulateOptions, simulate, simulateKernel } from './engine/simulate.js';
export {
  type KernelSimulation,
  KernelSimulationSchema,
  type OpResult,
  type Simulation,
  SimulationSchema,
} from './engine/simulation.js';
export { COLD, type Context, FIDELITIES, type Fidelity, type RunResult } from './engine/types.js';
export type { Program } from './kernel/ir.js';
export type { Kernel, Launch, Mapping, Params } from './kernel/kernel.js';
export { KERNEL_LIST, kernelByName, kernelNames } from './kernel/library/index.js';
export { type Choice, Mapper, type Objective, type Pins } from './kernel/mapper.js';
export { nestText, programText } from './kernel/print.js';
export type { ResourceGraph } from './machine/graph.js';
export { loadMachine, type Machine } from './machine/load.js';
export * from './workload/index.js';
