/** Whether what a user's file exports is a kernel: says what is missing or wrong, and the nearest name that is known. */
import { InputError, nearestName, TilewrightError } from '../base/errors.js';
import { OP_KINDS } from '../workload/op.js';
import { checkProgram } from './check.js';
import type { Launch } from './kernel.js';
import type { AnyKernel } from './library/index.js';

const FUNCTIONS = ['toOp', 'rejects', 'candidates', 'build', 'reference'] as const;
const TEXTS = ['name', 'family', 'math', 'op'] as const;
const RECORDS = ['shape', 'params'] as const;
const FIELDS: readonly string[] = [...TEXTS, ...RECORDS, ...FUNCTIONS];
/** As `list kernels` and `--kernels a,b` can say it. */
const NAME = /^[A-Za-z][\w-]*$/;

/** The kernel, whose programs are from now on checked as they are built. @throws InputError, its place being `file` */
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
  /** What goes wrong inside is the file's. */
  const said = <T>(what: string, work: () => T): T => {
    try {
      return work();
    } catch (e) {
      if (e instanceof TilewrightError) throw e;
      throw new InputError(`${what}() failed: ${e instanceof Error ? e.message : String(e)}`, file);
    }
  };
  return {
    ...kernel,
    toOp: (shape, dtype) => said('toOp', () => kernel.toOp(shape, dtype)),
    reference: (op, inputs) => said('reference', () => kernel.reference(op, inputs)),
    build(op, params, machine) {
      const launches: unknown = said('build', () => kernel.build(op, params, machine));
      if (!Array.isArray(launches) || launches.length === 0)
        throw new InputError(`build() gives ${kindOf(launches)}, expected launches: { program, mapping }`, file);
      for (const launch of launches) checkLaunch(launch, file);
      return launches as Launch[];
    },
  };
}

/** A launch that an engine, the interpreter and a device can take. */
function checkLaunch(launch: unknown, file: string): void {
  const wrong = (message: string) => new InputError(message, file);
  if (!isRecord(launch) || !isRecord(launch['program']) || !isRecord(launch['mapping']))
    throw wrong(`build() gives ${kindOf(launch)} without a program or a mapping, expected { program, mapping }`);
  const { program, mapping } = launch as unknown as Launch;
  if (typeof program.name !== 'string') throw wrong(`'name' of the program is ${kindOf(program.name)}, expected text`);
  for (const part of ['tensors', 'tiles', 'grid', 'body'] as const)
    if (!Array.isArray(program[part]))
      throw wrong(`'${part}' of ${program.name} is ${kindOf(program[part])}, expected a list`);
  if (program.grid.length === 0) throw wrong(`the grid of ${program.name} has no index; one of extent 1 will do`);
  if (!(Number.isInteger(mapping.lanes) && mapping.lanes > 0))
    throw wrong(
      `the mapping of ${program.name} has ${mapping.lanes} lanes, expected a whole number; vectorMapping() gives one`,
    );
  checkProgram(program);
}

const isRecord = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
const kindOf = (v: unknown): string =>
  v === null
    ? 'null'
    : Array.isArray(v)
      ? 'a list'
      : v === undefined
        ? 'missing'
        : v === ''
          ? 'empty'
          : typeof v === 'object'
            ? 'an object'
            : `a ${typeof v}`;
