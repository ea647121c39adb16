/**
 * Does a tree surely fit its schema? A walk that knows just the kinds of schema descriptions use, and answers no to
 * anything else. Compiling the full validator takes a few tenths of a second, so it is left for trees that this refuses.
 */
import { Kind, type TSchema } from '@sinclair/typebox';
import { isObject } from '../base/json.js';
import { isOrigin } from '../base/provenance.js';
import { childSchema, quantityOf } from './quantity.js';

export function fits(value: unknown, schema: TSchema): boolean {
  if (quantityOf(schema)) return fitsQuantity(value);
  const options = schema['enum'] as readonly unknown[] | undefined;
  if (options) return options.includes(value);
  switch (schema[Kind]) {
    case 'Object':
    case 'Record': {
      if (!isObject(value)) return false;
      for (const name of (schema['required'] ?? []) as string[]) if (!Object.hasOwn(value, name)) return false;
      for (const [key, child] of Object.entries(value)) {
        const expected = childSchema(schema, key);
        if (!expected || !fits(child, expected)) return false;
      }
      return true;
    }
    case 'String': {
      const { pattern, minLength = 0 } = schema as { pattern?: string; minLength?: number };
      return (
        typeof value === 'string' && value.length >= minLength && (!pattern || new RegExp(pattern, 'u').test(value))
      );
    }
    case 'Boolean':
      return typeof value === 'boolean';
    case 'Literal':
      return value === schema['const'];
    case 'Union':
      return (schema['anyOf'] as TSchema[]).some((option) => fits(value, option));
    default:
      return false;
  }
}

function fitsQuantity(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value === 'string') return true;
  if (!isObject(value) || Object.keys(value).length !== 3) return false;
  const { value: inner, from, source } = value;
  return (
    (typeof inner === 'string' || Number.isFinite(inner)) &&
    isOrigin(from) &&
    typeof source === 'string' &&
    source !== ''
  );
}
