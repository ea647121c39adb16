/** How far predictions for a machine are off: a section that every family's description may have. */
import { type Static, Type } from '@sinclair/typebox';
import { Quantity } from './quantity.js';

/** By class of work (see validate/spread.ts): measured ÷ predicted time at 5 % and 95 % of the rows. */
export const UncertaintySchema = Type.Record(
  Type.String({ pattern: '^[a-z][a-z0-9_]*$' }),
  Type.Object(
    {
      lo: Quantity('ratio', 'measured ÷ predicted time that 5 % of the rows are below'),
      hi: Quantity('ratio', 'measured ÷ predicted time that 5 % of the rows are above'),
      rows: Quantity('count', 'rows it was seen on', { integer: true }),
    },
    { additionalProperties: false },
  ),
  {
    additionalProperties: false,
    description: 'spread of measured times around predicted ones by class of work; a factor of 1.5 where it is absent',
  },
);
export type Uncertainty = Static<typeof UncertaintySchema>;
