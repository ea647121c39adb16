/** JSON against a TypeBox schema: compiled by ajv at first use, faults said in a user's words. */
import type { TSchema } from '@sinclair/typebox';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { InputError, nearestName } from '../base/errors.js';

let shared: Ajv | undefined;

/** Returns a check that yields a deep copy with defaults filled in, or throws InputError at `place`. */
export function schemaCheck<T>(schema: TSchema): (json: unknown, place?: string) => T {
  let validate: ValidateFunction | undefined;
  return (json, place) => {
    shared ??= new Ajv({ allErrors: false, useDefaults: true, strict: true, verbose: true });
    validate ??= shared.compile(schema);
    const copy = structuredClone(json);
    if (!validate(copy)) throw new InputError(faultOf(validate.errors?.[0]), place);
    return copy as T;
  };
}

/** "attention.heads: expected integer, got "many"". */
function faultOf(error: ErrorObject | undefined): string {
  if (!error) return 'not valid';
  const path = error.instancePath.replace(/^\//, '').replace(/\//g, '.');
  const at = path ? `${path}: ` : '';
  const given = JSON.stringify(error.data);
  const got = given === undefined ? '' : `, got ${given.length > 60 ? `${given.slice(0, 57)}…` : given}`;
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params['additionalProperty']);
      const known = Object.keys((error.parentSchema?.['properties'] as object | undefined) ?? {});
      const near = nearestName(key, known);
      return `${at}unknown key '${key}'${near ? `; did you mean '${near}'?` : ` (known: ${known.join(', ')})`}`;
    }
    case 'required':
      return `${at}'${error.params['missingProperty']}' is missing`;
    case 'enum': {
      const allowed = error.params['allowedValues'] as string[];
      const near = typeof error.data === 'string' ? nearestName(error.data, allowed) : undefined;
      return `${at}expected one of ${allowed.join(', ')}${got}${near ? `; did you mean '${near}'?` : ''}`;
    }
    case 'type':
      return `${at}expected ${error.params['type']}${got}`;
    default:
      return `${at}${error.message ?? 'not valid'}${got}`;
  }
}
