/** `--pin gemm=gemm_splitk:m=128,k=32` → what the mapper takes. */
import { InputError } from '../base/errors.js';
import { pinTarget } from '../explore/mapping.js';
import { kernelsNamed } from '../kernel/library/index.js';
import type { Pins } from '../kernel/mapper.js';

/** "m=128,n=256" → whole numbers by name. @throws InputError at `place`. */
export function parseAssignments(text: string, place: string): Record<string, number> {
  const out: Record<string, number> = {};
  for (const pair of text.split(',').map((p) => p.trim())) {
    if (pair === '') continue;
    const match = /^([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(\d+|true|false)$/.exec(pair);
    if (!match) throw new InputError(`expected name=number, got '${pair}'`, place);
    const [, key, value] = match;
    if (key! in out) throw new InputError(`'${key}' is given twice`, place);
    const number = value === 'true' ? 1 : value === 'false' ? 0 : Number(value);
    if (!Number.isSafeInteger(number)) throw new InputError(`${key}: ${value} is too large`, place);
    out[key!] = number;
  }
  return out;
}

/** By kind of op. The left side names a kind of op, a kernel or a family of kernels. */
export function parsePins(texts: readonly string[] = []): Record<string, Pins> {
  const pins: Record<string, Pins> = {};
  for (const text of texts) {
    const place = `--pin ${text}`;
    const [, left, kernel, params] = /^([^=:]+)(?:=([^:=,]+))?(?::(.*))?$/.exec(text.trim()) ?? [];
    if (left === undefined || (kernel === undefined && params === undefined))
      throw new InputError('expected OP=KERNEL, OP:name=value,… or OP=KERNEL:name=value,…', place);
    const target = pinTarget(left);
    const named = kernel ?? target.kernel;
    const { kind } = target;
    if (named !== undefined && kernelsNamed(named).every((k) => k.op !== kind))
      throw new InputError(`kernel '${named}' does not compute ${kind}`, place);
    if (pins[kind]) throw new InputError(`ops of kind ${kind} are pinned twice`, place);
    pins[kind] = { kernel: named, ...(params === undefined ? {} : { params: parseAssignments(params, place) }) };
  }
  return pins;
}
