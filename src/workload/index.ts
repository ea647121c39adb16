/** What is computed: model files and specs to traces of ops, and traces as text. */
export { expandWorkload } from './expand/index.js';
export { type TransformerModel, TransformerSchema, validateModel } from './model.js';
export * from './op.js';
export { parameterCount, parameterGroups } from './parameters.js';
export { type ResolvedSpec, resolveSpec } from './resolve.js';
export { formatWorkloadSpec, PHASES, parseWorkloadSpec, SPEC_KEYS, type WorkloadSpec } from './spec.js';
export { type PhaseSummary, summarise } from './summary.js';
export { readTrace, TraceHeaderSchema, writeTrace } from './trace.js';
export { type Quantisation, quantise, scaleRepeat } from './transforms.js';
