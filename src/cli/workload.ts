/** Workloads by name or path: a model with its phase and parameters, or a trace of ops. */
import { InputError, nearestName, unknownName } from '../base/errors.js';
import type { Trace } from '../workload/op.js';
import { traceOf, type WorkloadSource } from '../workload/source.js';
import { parseWorkloadSpec } from '../workload/spec.js';
import { readTrace } from '../workload/trace.js';
import { findFile, findJson, listFiles } from './files.js';

/** @throws InputError when there is no such model or trace, or its file is not valid. */
export function openWorkloadSource(text: string): WorkloadSource {
  if (/\.jsonl$/i.test(text) || listFiles('traces').includes(text)) return traceSource(text);
  const spec = parseWorkloadSpec(text);
  const isPath = /[\\/]|\.json$/i.test(spec.model);
  if (!isPath) {
    const models = listFiles('models');
    const known = [...models, ...listFiles('traces')];
    if (!known.includes(spec.model)) {
      // a name with a slip is met with names of its kind only when they are few enough to read
      const near = nearestName(spec.model, known);
      if (near && known.length > 40) throw new InputError(`unknown workload '${spec.model}'; did you mean '${near}'?`);
      throw unknownName('workload', spec.model, known);
    }
    if (!models.includes(spec.model))
      throw new InputError('a trace is replayed as it is; leave out what follows its name', `workload '${text}'`);
  }
  const { json, file } = findJson('models', spec.model);
  return { kind: 'model', json, spec, file };
}

function traceSource(name: string): WorkloadSource {
  const { text, file } = findFile('traces', name);
  return { kind: 'trace', trace: readTrace(text, file) };
}

/** The trace of a workload, with "key=value" overrides. */
export function openTrace(text: string, set: readonly string[] = []): Trace {
  return traceOf(openWorkloadSource(text), set);
}
