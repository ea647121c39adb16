/** DRAM commands, numbered for typed arrays. RDA and WRA close their row when they are done. */
export const COMMANDS = ['ACT', 'PRE', 'RD', 'WR', 'RDA', 'WRA', 'REF', 'REFpb'] as const;
export type Command = (typeof COMMANDS)[number];

/** Number of a command: its place in COMMANDS. */
export const CMD = Object.fromEntries(COMMANDS.map((name, i) => [name, i])) as Record<Command, number>;
