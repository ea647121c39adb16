/**
 * How an array makes use of elements that are zero, for one einsum: formats that leave them out of a store, and actions
 * that are gated (done idle) or skipped (not done) where an operand that they need is empty.
 */
import { type Static, Type } from '@sinclair/typebox';

const closed = { additionalProperties: false } as const;

/**
 * U uncompressed (no metadata), UOP offsets into the next rank (rows of CSR), CP coordinates (its columns), B a bitmask
 * that leaves zeros out, UB one beside all elements, RLE runs of zeros.
 */
export const RANK_FORMATS = ['U', 'UOP', 'CP', 'B', 'UB', 'RLE'] as const;
export type RankFormat = (typeof RANK_FORMATS)[number];

export const SparsitySchema = Type.Object(
  {
    formats: Type.Array(
      Type.Object(
        {
          level: Type.String(),
          tensor: Type.String(),
          ranks: Type.Array(
            Type.Object(
              {
                format: Type.Unsafe<RankFormat>(Type.String({ enum: [...RANK_FORMATS] })),
                flatten: Type.Optional(
                  Type.Array(Type.Array(Type.String()), {
                    description: 'ranks whose loops this one may hold together',
                  }),
                ),
                metadata_bits: Type.Optional(Type.Number({ minimum: 0 })),
                payload_bits: Type.Optional(Type.Number({ minimum: 0 })),
              },
              closed,
            ),
            { minItems: 1, description: 'outermost first' },
          ),
        },
        closed,
      ),
    ),
    actions: Type.Array(
      Type.Object(
        {
          level: Type.String(),
          kind: Type.Unsafe<'gating' | 'skipping'>(Type.String({ enum: ['gating', 'skipping'] })),
          options: Type.Array(
            Type.Object({ target: Type.String(), on: Type.Array(Type.String(), { minItems: 1 }) }, closed),
            { minItems: 1, description: 'the one that saves most is taken' },
          ),
        },
        closed,
      ),
    ),
    compute: Type.Object({ gate_zero: Type.Boolean(), skip_unaligned: Type.Boolean() }, closed),
  },
  closed,
);
export type Sparsity = Static<typeof SparsitySchema>;
