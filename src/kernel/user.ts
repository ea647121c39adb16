/** Whether what a user's file exports is a kernel: says what is missing or wrong, and the nearest name that is known. */
import { InputError, nearestName } from '../base/errors.js';
import { OP_KINDS } from '../workload/op.js';
import type { AnyKernel } from './library/index.js';

const FUNCTIONS = ['toOp', 'rejects', 'candidates', 'build', 'reference'] as const;
const TEXTS = ['name', 'family', 'math', 'op'] as const;
const RECORDS = ['shape', 'params'] as const;
const FIELDS: readonly string[] = [...TEXTS, ...RECORDS, ...FUNCTIONS];
/** As `list kernels` and `--kernels a,b` can say it. */
const NAME = /^[A-Za-z][\w-]*$/;

/** @throws InputError, its place being `file` */
export function checkKernel(value: unknown, file: string): AnyKernel {
  const bad = (message: string): never => {
    throw new InputError(message, file);
  };
  if (value === undefined) bad("no default export; end the file with 'export default defineKernel({ … })'");
  if (!isRecord(value)) return bad(`the default export is ${kindOf(value)}, expected a kernel: defineKernel({ … })`);
  if ('work' in value && !('toOp' in value))
    bad('the default export is the definition of a kernel; wrap it: export default defineKernel({ … })');
  for (const field of FIELDS) {
    if (field in value) continue;
    const near = nearestName(
      field,
      Object.keys(value).filter((key) => !FIELDS.includes(key)),
    );
    bad(`the kernel has no '${field}'${near ? `; it has '${near}'` : ''} (a kernel has ${FIELDS.join(', ')})`);
  }
  for (const field of TEXTS)
    if (typeof value[field] !== 'string' || value[field] === '')
      bad(`'${field}' is ${kindOf(value[field])}, expected text`);
  for (const field of FUNCTIONS)
    if (typeof value[field] !== 'function') bad(`'${field}' is ${kindOf(value[field])}, expected a function`);
  for (const field of RECORDS)
    if (!isRecord(value[field])) bad(`'${field}' is ${kindOf(value[field])}, expected an object`);
  const kernel = value as unknown as AnyKernel;
  if (!NAME.test(kernel.name)) bad(`the name '${kernel.name}' must be a word of letters, digits, _ and -`);
  if (!OP_KINDS.includes(kernel.op)) {
    const near = nearestName(kernel.op, OP_KINDS);
    bad(`'op' is '${kernel.op}'${near ? `; did you mean '${near}'?` : ''} (known: ${OP_KINDS.join(', ')})`);
  }
  for (const [key, def] of Object.entries(kernel.shape))
    if (!isRecord(def) || typeof def.description !== 'string') bad(`shape '${key}' has no description`);
  for (const [key, def] of Object.entries(kernel.params)) {
    const values: unknown = isRecord(def) ? def.values : undefined;
    if (!Array.isArray(values) || values.length === 0 || !values.every((v) => Number.isInteger(v) && v >= 0))
      bad(`param '${key}' has no values: expected a list of whole numbers, ascending`);
    else if (!values.includes(def.default))
      bad(`param '${key}' has the default ${def.default}, expected one of its values ${values.join(', ')}`);
  }
  return kernel;
}

const isRecord = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
const kindOf = (v: unknown): string =>
  v === null ? 'null' : Array.isArray(v) ? 'a list' : v === '' ? 'empty' : `a ${typeof v}`;
