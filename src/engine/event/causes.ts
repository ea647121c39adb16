/** What a workgroup's slot can lose time to. */
export const CAUSES = [
  'dram',
  'l2',
  'link',
  'shared',
  'matrix',
  'vector',
  'special',
  'issue',
  'latency',
  'barrier',
  'dispatch',
  'tail',
] as const;
export type CauseName = (typeof CAUSES)[number];
/** Index into CAUSES. */
export type Cause = number;

export const CAUSE = Object.fromEntries(CAUSES.map((name, i) => [name, i])) as Readonly<Record<CauseName, Cause>>;
