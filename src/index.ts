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
export { defineKernel, type KernelDefinition } from './kernel/define.js';
export { type Interpretation, interpret, interpretLaunches } from './kernel/interpret.js';
// what tile programs are made of: tensors, tiles, views, statements, index expressions, scalar functions
export * from './kernel/ir.js';
export type { Kernel, Launch, Mapping, ParamDef, Params, ShapeKey } from './kernel/kernel.js';
export { laneTile } from './kernel/library/attention_route.js';
export { KERNEL_LIST, kernelByName, kernelNames } from './kernel/library/index.js';
export { vectorMapping } from './kernel/library/lanes.js';
export { type Choice, Mapper, type Objective, type Pins } from './kernel/mapper.js';
export { ADD, activationFn, elementwiseFn, FMA, MAX, MOVE, MUL, SQUARE, ZERO } from './kernel/math.js';
export { nestText, programText } from './kernel/print.js';
export type { ResourceGraph } from './machine/graph.js';
export { loadMachine, type Machine } from './machine/load.js';
export * from './workload/index.js';
