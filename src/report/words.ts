/** Names that readers meet: resources, stores and parts in words. Unknown ones read as they are. */

const RESOURCES: Record<string, string> = {
  matrix: 'the matrix units',
  vector: 'vector arithmetic',
  special: 'special functions',
  register: 'register bandwidth',
  shared: 'shared-memory bandwidth',
  l1: 'L1 bandwidth',
  l2: 'L2 bandwidth',
  dram: 'DRAM bandwidth',
  latency: 'latency',
  issue: 'instruction issue',
  launch: 'launch cost',
  dispatch: 'workgroup dispatch',
  tail: 'a partly filled last wave',
  link: 'the links between devices',
  peer: 'the links between devices',
  host: 'the link to the host',
  power: 'the power cap',
};

const SHORT: Record<string, string> = {
  matrix: 'matrix units',
  vector: 'vector units',
  special: 'special functions',
  register: 'registers',
  shared: 'shared memory',
  l1: 'L1',
  l2: 'L2',
  dram: 'DRAM',
  link: 'links',
  static: 'static',
  buffer: 'global buffer',
  host: 'host memory',
  work: 'useful work',
  gated: 'zeros, idle',
  edges: 'beyond the ends of ranks',
  unfilled: 'places left free',
  other_array: 'waits for the other array',
  reduction: 'waits for sums over places',
  store: 'waits for bandwidth',
  fill_drain: 'fill and drain',
  unused: 'nothing laid on it',
  grid: 'ops not laid on arrays',
  pause: 'pauses (power cap, host)',
};

/** In a sentence: "bound by DRAM bandwidth". */
export function resourceInWords(id: string): string {
  return own(RESOURCES, id) ?? id.replaceAll('_', ' ');
}

/** In a table, a legend or a label: "DRAM", "matrix units", "launch". */
export function shortName(id: string): string {
  return own(SHORT, id) ?? id.replaceAll('_', ' ');
}

function own(names: Record<string, string>, id: string): string | undefined {
  return Object.hasOwn(names, id) ? names[id] : undefined;
}
