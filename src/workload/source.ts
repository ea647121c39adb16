/**
 * What a workload is made from, read once; traces are expanded from it as often as needed, each time with other
 * values. Plain data: it can be sent to a worker.
 */
import { InputError } from '../base/errors.js';
import { expandWorkload } from './expand/index.js';
import { validateModel } from './model.js';
import type { Trace } from './op.js';
import { parseWorkloadSpec, SPEC_KEYS, type WorkloadSpec } from './spec.js';

export type WorkloadSource =
  | { readonly kind: 'model'; readonly json: unknown; readonly spec: WorkloadSpec; readonly file: string }
  | { readonly kind: 'trace'; readonly trace: Trace };

/**
 * The trace with "key=value" overrides: keys of the spec (batch, context, dtype, …), else fields of the model's file
 * by path (layers, attention.kv_heads). @throws InputError
 */
export function traceOf(source: WorkloadSource, set: readonly string[] = []): Trace {
  if (source.kind === 'trace') {
    if (set.length > 0)
      throw new InputError('a trace is replayed as it is; it has no fields to set', `--set workload.${set[0]}`);
    return source.trace;
  }
  let { json, spec } = source;
  for (const assignment of set) {
    const place = `--set workload.${assignment}`;
    const equals = assignment.indexOf('=');
    if (equals < 1) throw new InputError('expected workload.KEY=value', place);
    const key = assignment.slice(0, equals).trim();
    const text = assignment.slice(equals + 1).trim();
    if ((SPEC_KEYS as readonly string[]).includes(key)) spec = { ...spec, ...specValue(key, text) };
    else json = replaced(json, key.split('.'), scalar(text), place);
  }
  return expandWorkload(validateModel(json, source.file), spec);
}

function specValue(key: string, text: string): Partial<WorkloadSpec> {
  const { model: _, phase: __, ...values } = parseWorkloadSpec(`set:forward,${key}=${text}`);
  return values;
}

function scalar(text: string): number | boolean | string {
  if (text === 'true' || text === 'false') return text === 'true';
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

function replaced(json: unknown, [key, ...rest]: readonly string[], value: unknown, place: string): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new InputError(`there is no section above '${key}'`, place);
  const below = (json as Record<string, unknown>)[key!];
  // sections are not made up: a slip in the path is a slip, and the schema names the nearest key
  const next = rest.length === 0 ? value : below === undefined ? {} : replaced(below, rest, value, place);
  return { ...json, [key!]: next };
}
