/**
 * Schema leaves of a machine description. A quantity leaf says its dimension and range; the schema of the *resolved*
 * machine types it as a number, and `fileSchemaOf` derives what a file may say there: a number, a text with a unit or
 * a formula, or either wrapped with its provenance.
 */
import { Kind, type TSchema, Type } from '@sinclair/typebox';
import { ORIGINS } from '../base/provenance.js';
import { baseUnit, DIMENSIONS, type DimensionName } from '../base/units.js';

export interface Range {
  /** positive (the default) or nonnegative. */
  readonly sign?: 'positive' | 'nonnegative';
  readonly max?: number;
  readonly integer?: boolean;
}

/** What a quantity leaf carries beside its type. */
export interface QuantityKeywords extends Range {
  readonly dimension: DimensionName;
}

const KEYWORD = 'x-quantity';

/** A number of dimension `dimension` in its base unit. */
export function Quantity(dimension: DimensionName, description: string, range: Range = {}) {
  const keywords: QuantityKeywords = { dimension, ...range };
  return Type.Number({ description, [KEYWORD]: keywords });
}

/** The quantity keywords of a schema, or undefined when it is not a quantity leaf. */
export function quantityOf(schema: TSchema): QuantityKeywords | undefined {
  return schema[KEYWORD] as QuantityKeywords | undefined;
}

export const NOTES = {
  $from: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: [...ORIGINS] })),
  $source: Type.Optional(Type.String({ minLength: 1 })),
  $note: Type.Optional(Type.String()),
};

/** What a file may say for a quantity. One schema without alternatives, so that a fault gives one clear message. */
function fileQuantity(dimension: DimensionName): TSchema {
  return Type.Unsafe({
    type: ['number', 'string', 'object'],
    required: ['value', 'from', 'source'],
    additionalProperties: false,
    properties: {
      value: { type: ['number', 'string'], [KEYWORD]: { dimension } },
      from: { type: 'string', enum: [...ORIGINS] },
      source: { type: 'string', minLength: 1 },
    },
    [KEYWORD]: { dimension },
  });
}

/**
 * The schema that files are checked with: quantities may be text or wrapped, sections may state provenance.
 * Quantities are references to one definition per dimension, which keeps the compiled check small.
 */
export function fileSchemaOf(schema: TSchema): TSchema {
  const $defs: Record<string, TSchema> = {};
  return { ...fileSchema(schema, $defs), $defs } as TSchema;
}

function fileSchema(schema: TSchema, $defs: Record<string, TSchema>): TSchema {
  const quantity = quantityOf(schema);
  if (quantity) {
    const { dimension } = quantity;
    $defs[dimension] ??= fileQuantity(dimension);
    const unit = baseUnit(dimension);
    const description = `${schema['description']}${unit ? ` [${unit}]` : ''}, e.g. "${DIMENSIONS[dimension].example}"`;
    return Type.Unsafe({ $ref: `#/$defs/${dimension}`, description });
  }
  if (schema[Kind] === 'Object') {
    const properties: Record<string, TSchema> = { ...NOTES };
    for (const [key, child] of Object.entries(schema['properties'] as Record<string, TSchema>))
      properties[key] = fileSchema(child, $defs);
    return { ...schema, properties } as TSchema;
  }
  if (schema[Kind] === 'Record') {
    const children: Record<string, TSchema> = {};
    for (const [key, child] of Object.entries(schema['patternProperties'] as Record<string, TSchema>))
      children[key] = fileSchema(child, $defs);
    return { ...schema, properties: { ...NOTES }, patternProperties: children } as unknown as TSchema;
  }
  return schema;
}

const patterns = new Map<string, RegExp>();

function matches(pattern: string, key: string): boolean {
  let regexp = patterns.get(pattern);
  if (!regexp) {
    regexp = new RegExp(pattern);
    patterns.set(pattern, regexp);
  }
  return regexp.test(key);
}

/** The schema of `key` inside an object or record schema; undefined when it is not allowed there. */
export function childSchema(schema: TSchema, key: string): TSchema | undefined {
  const properties = schema['properties'] as Record<string, TSchema> | undefined;
  if (properties && Object.hasOwn(properties, key)) return properties[key];
  for (const [pattern, child] of Object.entries((schema['patternProperties'] ?? {}) as Record<string, TSchema>))
    if (matches(pattern, key)) return child;
  return undefined;
}
