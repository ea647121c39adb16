/**
 * Traces as text: JSON Lines, a header and then an op a line, in an order that respects `deps`.
 *
 *   {"tilewright":"trace","version":1,"name":…,"devices":1,"footprint_B":{…},"parameters":…,"ops":13}
 *   {"kind":"matmul","id":"layer.qkv","name":…,"repeat":32,"deps":["…"],"m":8,…}
 *
 * `ops` counts the lines that follow, so that a file cut at the end of a line is noticed too.
 */
import { type Static, Type } from '@sinclair/typebox';
import { InputError, unknownName } from '../base/errors.js';
import { OP_KINDS, type Op, type OpKind, OpSchemas, type Trace } from './op.js';
import { opFault } from './op-check.js';
import { schemaCheck } from './schema-check.js';

const amount = (description: string) => Type.Number({ minimum: 0, description });

export const TraceHeaderSchema = Type.Object(
  {
    tilewright: Type.Literal('trace'),
    version: Type.Literal(1),
    name: Type.String({ minLength: 1 }),
    source: Type.Record(Type.String(), Type.Union([Type.Number(), Type.String(), Type.Boolean()]), { default: {} }),
    devices: Type.Integer({ minimum: 1, maximum: 65_536, default: 1 }),
    footprint_B: Type.Object(
      {
        weights: amount('parameters of one device'),
        kv_cache: amount('keys and values of one device'),
        activations: amount('the largest live activations'),
        gradients: Type.Optional(amount('gradients of one device’s parameters')),
        optimiser: Type.Optional(amount('what the optimiser keeps')),
      },
      { additionalProperties: false, default: { weights: 0, kv_cache: 0, activations: 0 } },
    ),
    parameters: Type.Integer({ minimum: 0, default: 0, description: 'of the whole model' }),
    linear_parameters: Type.Optional(Type.Integer({ minimum: 0, description: 'of one device, read by products' })),
    produces: Type.Optional(
      Type.Object(
        {
          unit: Type.Union([
            Type.Literal('token'),
            Type.Literal('image'),
            Type.Literal('frame'),
            Type.Literal('sequence'),
          ]),
          count: Type.Integer({ minimum: 1 }),
        },
        { additionalProperties: false },
      ),
    ),
    ops: Type.Optional(Type.Integer({ minimum: 1, description: 'lines that follow' })),
  },
  { additionalProperties: false, $id: 'trace-header', title: 'Header of a trace' },
);
type TraceHeader = Static<typeof TraceHeaderSchema>;

/** Characters of a file, of a line, and lines: more is refused rather than tried. */
export const TRACE_LIMITS = { file: 256 * 2 ** 20, line: 16 * 2 ** 20, ops: 1_000_000 } as const;

const checkHeader = schemaCheck<TraceHeader>(TraceHeaderSchema);
const checks = Object.fromEntries(OP_KINDS.map((kind) => [kind, schemaCheck<Op>(OpSchemas[kind])])) as Record<
  OpKind,
  (json: unknown, place?: string) => Op
>;

/** @throws InputError "FILE:LINE: …" for the first fault. */
export function readTrace(text: string, file = 'trace'): Trace {
  if (text.length > TRACE_LIMITS.file)
    throw new InputError(`${text.length} characters, more than the ${TRACE_LIMITS.file} a trace may have`, file);
  const lines = text.split('\n');
  const whole = lines.at(-1) === '';
  if (whole) lines.pop();
  if (lines.length === 0) throw new InputError('empty; expected the header of a trace', `${file}:1`);
  if (lines.length - 1 > TRACE_LIMITS.ops)
    throw new InputError(`${lines.length - 1} ops, more than the ${TRACE_LIMITS.ops} a trace may have`, file);

  const parse = (index: number): unknown => {
    const line = lines[index]!;
    const place = `${file}:${index + 1}`;
    if (line.length > TRACE_LIMITS.line)
      throw new InputError(`${line.length} characters, more than the ${TRACE_LIMITS.line} a line may have`, place);
    if (line.trim() === '') throw new InputError('blank line; expected an op as JSON', place);
    try {
      return JSON.parse(line);
    } catch (error) {
      const cut = !whole && index === lines.length - 1 ? 'the file ends in the middle of a line (truncated?): ' : '';
      throw new InputError(`${cut}${(error as Error).message}`, place);
    }
  };

  const { tilewright, version, ops: expected, ...header } = headerOf(parse(0), `${file}:1`);
  void [tilewright, version];
  const ops: Op[] = [];
  const lineOf = new Map<string, number>();
  for (let index = 1; index < lines.length; index++) {
    const place = `${file}:${index + 1}`;
    const op = opOf(parse(index), place);
    const before = lineOf.get(op.id);
    if (before !== undefined) throw new InputError(`id '${op.id}' is already that of line ${before}`, place);
    for (const dep of op.deps)
      if (!lineOf.has(dep)) throw new InputError(depFault(dep, op, lines, index, [...lineOf.keys()]), place);
    lineOf.set(op.id, index + 1);
    ops.push(op);
  }
  if (expected !== undefined && expected !== ops.length)
    throw new InputError(
      `the header promises ${expected} ops, but ${ops.length} follow (truncated?)`,
      `${file}:${lines.length}`,
    );
  if (ops.length === 0) throw new InputError('a header and no ops', `${file}:${lines.length}`);
  return { ...header, ops } as Trace;
}

function headerOf(json: unknown, place: string): TraceHeader {
  if (!isObject(json) || json['tilewright'] !== 'trace')
    throw new InputError('not a trace: the first line must be a header with "tilewright":"trace"', place);
  if (json['version'] !== 1)
    throw new InputError(`version ${JSON.stringify(json['version'])} of the trace format; this reads version 1`, place);
  return checkHeader(json, place);
}

function opOf(json: unknown, place: string): Op {
  if (!isObject(json)) throw new InputError('expected an op as a JSON object', place);
  const kind = json['kind'];
  if (typeof kind !== 'string') throw new InputError(`an op needs a 'kind' (known: ${OP_KINDS.join(', ')})`, place);
  if (!Object.hasOwn(checks, kind)) throw unknownName('kind of op', kind, OP_KINDS, place);
  const op = checks[kind as OpKind](json, place);
  const fault = opFault(op);
  if (fault) throw new InputError(fault, place);
  return op;
}

/** Why a dependency does not resolve: the op itself, one further down, or none. */
function depFault(dep: string, op: Op, lines: readonly string[], index: number, known: readonly string[]): string {
  if (dep === op.id) return `op '${op.id}' depends on itself`;
  const later = lines.findIndex((line, i) => i > index && line.includes(`"id":${JSON.stringify(dep)}`));
  if (later > 0) return `depends on '${dep}', which comes later (line ${later + 1}); ops stand after what they read`;
  return unknownName('op in deps', dep, known).message;
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** The text of a trace; `readTrace` gives the same trace back, and the same trace always gives the same text. */
export function writeTrace(trace: Trace): string {
  const header: Record<string, unknown> = { tilewright: 'trace', version: 1, ...trace, ops: trace.ops.length };
  const lines = [ordered(header, Object.keys(TraceHeaderSchema.properties))];
  for (const op of trace.ops)
    lines.push(ordered(op as unknown as Record<string, unknown>, Object.keys(OpSchemas[op.kind].properties)));
  return `${lines.join('\n')}\n`;
}

function ordered(object: Record<string, unknown>, keys: readonly string[]): string {
  return JSON.stringify(Object.fromEntries(keys.filter((k) => object[k] !== undefined).map((k) => [k, object[k]])));
}
