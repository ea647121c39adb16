/** DRAM commands, numbered for typed arrays. RDA and WRA close their row when they are done. */
export const COMMANDS = ['ACT', 'PRE', 'RD', 'WR', 'RDA', 'WRA', 'REF', 'REFpb'] as const;
export type Command = (typeof COMMANDS)[number];

/** Number of a command: its place in COMMANDS. Written out, so that the inner loop sees constants. */
export const CMD = { ACT: 0, PRE: 1, RD: 2, WR: 3, RDA: 4, WRA: 5, REF: 6, REFpb: 7 } as const satisfies Record<
  Command,
  number
>;
