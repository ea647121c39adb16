/**
 * FuseMax's published attention figures, and closed forms of them for other lengths, head widths and array sides. The
 * engine knows neither: it has the tile program, the nest and the machine.
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { openMachine } from '../../../src/cli/files.js';
import { simulateKernel } from '../../../src/engine/simulate.js';
import { kernelByName } from '../../../src/kernel/library/index.js';

const FOLDER = new URL('../../../../shared/golden/fusemax/', import.meta.url);

/** Machine, kernel and pinned choices of each published variant. */
const VARIANTS = {
  unfused: ['flat', 'attention_phases', {}],
  flat: ['flat', 'attention_rows_kept', {}],
  cascade: ['fusemax-cascade', 'attention_one_pass', { interleave: 1 }],
  arch: ['fusemax', 'attention_one_pass', { interleave: 0 }],
  binding: ['fusemax', 'attention_one_pass', { interleave: 1 }],
} as const;
type Variant = keyof typeof VARIANTS;

interface Problem {
  readonly B: number;
  readonly H: number;
  readonly N: number;
  readonly E: number;
}

async function run(variant: Variant, { B, H, N, E }: Problem, set: readonly string[] = []) {
  const [machine, kernel, params] = VARIANTS[variant];
  const { graph } = await openMachine(machine, [...set]);
  const op = kernelByName(kernel).toOp({ batch: B, heads: H, q_len: N, head_dim: E }, 'fp16');
  const { result } = simulateKernel(op, graph, { kernel, params });
  const s = result;
  const busy_s = s.time_s - s.launch_s;
  const places = (id: string) => graph.stores.find((x) => x.id === id)!.instances!;
  // the artifact charges the registers of one element and of one lane
  const registers = ['pe_register', 'register'].reduce(
    (sum, id) => sum + (s.energy_by_part_J[id] ?? 0) * (1 - 1 / places(id)),
    0,
  );
  return {
    latency: busy_s,
    traffic: s.moved_B['dram']!,
    energy_pJ: (s.energy_J - registers) * 1e12,
    all_registers_pJ: s.energy_J * 1e12,
    util_2d: s.busy_s['matrix']! / busy_s,
    util_1d: s.busy_s['vector']! / busy_s,
    fill_s: s.launch_s,
    tile: s.tile,
  };
}

const LENGTHS: Record<string, number> = {
  '1K': 2 ** 10,
  '4K': 2 ** 12,
  '16K': 2 ** 14,
  '64K': 2 ** 16,
  '256K': 2 ** 18,
  '1M': 2 ** 20,
};

/**
 * Residuals that stand, as fractions: 0 where the artifact's figure is met.
 * - traffic of FLAT: the artifact's own search keeps K and V worse, and lets 0.8 % of a row out where 255 rows would fit.
 * - energy: the artifact leaves out the scale 1/√d (0.05 % at 1K), the exponentials of +Cascade, and counts the shared buffer
 *   by nests that its tables do not tell; beyond 64K its own counts jump.
 */
const latencyResidual = (v: Variant, length: string): number =>
  v === 'flat' && length === '64K' ? 0.008 : v === 'unfused' && length === '256K' ? 6e-4 : 1e-9;
const trafficResidual = (v: Variant, length: string): number =>
  v === 'flat' && LENGTHS[length]! <= 65536 ? 0.38 : v === 'unfused' && length === '256K' ? 8e-4 : 1e-9;
const energyResidual = (v: Variant, length: string): number =>
  v === 'binding' || v === 'arch'
    ? LENGTHS[length]! <= 65536
      ? 6e-4
      : 6e-3
    : v === 'cascade'
      ? LENGTHS[length]! <= 65536
        ? 0.02
        : 0.09
      : LENGTHS[length]! <= 16384
        ? 0.03
        : 0.09;

describe.skipIf(!existsSync(FOLDER))('FuseMax’s artifact (skipped without ../shared)', () => {
  for (const variant of Object.keys(VARIANTS) as Variant[])
    test(variant, async () => {
      const text = readFileSync(new URL(`attn-${variant}.csv`, FOLDER), 'utf8');
      const [head, ...rows] = text
        .trim()
        .split('\n')
        .map((l) => l.split(','));
      for (const row of rows) {
        const g = Object.fromEntries(head!.map((h, i) => [h, row[i]!]));
        const length = g['seq_len']!;
        const r = await run(variant, { B: 64, H: g['model'] === 'BERT' ? 12 : 16, N: LENGTHS[length]!, E: 64 });
        const off = (x: number, key: string) => Math.abs(x / Number(g[key]) - 1);
        const where = `${variant} ${g['model']} ${length}`;
        expect(off(r.latency, 'latency'), where).toBeLessThan(latencyResidual(variant, length));
        expect(off(r.traffic, 'traffic'), where).toBeLessThan(trafficResidual(variant, length));
        expect(off(r.energy_pJ, 'energy'), where).toBeLessThan(energyResidual(variant, length));
        // the scaled queries, which the artifact leaves out, keep an array busy a little longer
        expect(Math.abs(r.util_2d - Number(g['util_2d'])), where).toBeLessThan(0.002);
        expect(Math.abs(r.util_1d - Number(g['util_1d'])), where).toBeLessThan(variant === 'arch' ? 0.036 : 0.011);
        expect(r.all_registers_pJ).toBeGreaterThan(1.3 * r.energy_pJ);
      }
    });
});

/** Closed forms of the artifact's model (its proposal.py), sides D of the arrays. */
function closed(variant: 'binding' | 'arch' | 'cascade', { B, H, N, E }: Problem, D: number, P1: number) {
  const f = 940e6;
  const full = B * H * N * N;
  const red = full / D;
  const two = (ops: number) => ops / (D * D) / f;
  const one = (ops: number) => ops / D / f;
  const av = B * H * N * E;
  const traffic = 2 * B * H * (2 * N * E + (N / (D * P1)) * N * 2 * E);
  const memory = traffic / (400 * 2 ** 30);
  const matrix = { QK: two(full * E), LM: two(full), SLN: two(7 * full), SLD: two(full), SLNV: two(full * E) };
  const lanes = {
    RM: one(red),
    PRM: one(7 * red),
    SPD: one(red),
    RD: one(red),
    SPNV: one(red * E),
    RNV: one(red * E),
    AV: one(av),
  };
  const middle = lanes.RM + Math.max(matrix.SLN + matrix.SLD, lanes.PRM + lanes.SPD);
  const compute = {
    binding:
      Math.max(matrix.QK + matrix.LM, lanes.RD + lanes.RNV + lanes.AV) + middle + Math.max(matrix.SLNV, lanes.SPNV),
    arch:
      Math.max(matrix.QK + matrix.LM, lanes.RD + lanes.AV) +
      D * matrix.LM +
      middle +
      Math.max(matrix.SLNV, lanes.SPNV + lanes.RNV),
    cascade: Math.max(matrix.QK + matrix.SLNV, one(4 * full) + one(red * (1 + 2 + 1 + 1 + 2 * E)) + lanes.AV),
  }[variant];
  return { latency: Math.max(memory, compute), traffic };
}

/** The largest divisor of the tiles of queries whose state fits beside a block of keys and values. */
function group({ N, E }: Problem, D: number, buffer_B: number, words: number): number {
  const most = Math.floor((buffer_B - D * E * 2 * 2) / (words * 2 * D));
  let best = 1;
  for (let g = 1; g <= most; g++) if ((N / D) % g === 0) best = g;
  return best;
}

const sides = (D: number) =>
  ['arrays.matrix.levels.pe.columns', 'arrays.matrix.levels.pe.rows', 'arrays.vector.levels.lane.columns'].map(
    (k) => `${k}=${D}`,
  );

describe('closed forms, at other sizes', () => {
  const cases: [Problem, number][] = [];
  for (const E of [64, 128]) for (const N of [2048, 32768, 524288]) cases.push([{ B: 64, H: 16, N, E }, 256]);
  for (const D of [16, 32, 64, 128, 512]) cases.push([{ B: 64, H: 12, N: 262144, E: 64 }, D]);
  it.each(cases)('%o on sides of %i', async (problem, D) => {
    const P1 = group(problem, D, 16 * 2 ** 20, 2 * problem.E + 2);
    const set = sides(D);
    for (const variant of ['binding', 'arch'] as const) {
      const r = await run(variant, problem, set);
      const c = closed(variant, problem, D, P1);
      expect(r.traffic / c.traffic).toBeCloseTo(1, 9);
      expect(r.latency / c.latency).toBeCloseTo(1, 9);
    }
    const r = await run('cascade', problem, set);
    const c = closed('cascade', problem, D, group(problem, D, 16 * 2 ** 20, 2 * problem.E + 2 + 2 * D));
    expect(r.traffic / c.traffic).toBeCloseTo(1, 9);
    expect(r.latency / c.latency).toBeCloseTo(1, 9);
  });
});

it('fill and drain are counted apart: the skew of the array, once', async () => {
  const r = await run('binding', { B: 64, H: 12, N: 1024, E: 64 });
  expect(r.fill_s * 940e6).toBeCloseTo(2 * 255, 6);
});

it('one pass needs as much buffer at a million keys as at a thousand; whole rows do not fit', async () => {
  const tile = async (N: number) => (await run('binding', { B: 1, H: 1, N, E: 64 })).tile;
  expect(await tile(2 ** 20)).toEqual(await tile(2 ** 10));
  expect((await run('flat', { B: 1, H: 1, N: 2 ** 10, E: 64 })).tile['spill']).toBe(0);
  expect((await run('flat', { B: 1, H: 1, N: 2 ** 20, E: 64 })).tile['spill']).toBe(1);
});

it('means over four models and six lengths, as the abstract has them', async () => {
  const models: readonly (readonly [H: number, E: number])[] = [
    [12, 64],
    [16, 64],
    [8, 64],
    [16, 128],
  ];
  const ratios: { flat: number; unfused: number; energy: number }[] = [];
  for (const [H, E] of models)
    for (const N of Object.values(LENGTHS)) {
      const problem = { B: 64, H, N, E };
      const fusemax = await run('binding', problem);
      const flat = await run('flat', problem);
      const unfused = await run('unfused', problem);
      ratios.push({
        flat: flat.latency / fusemax.latency,
        unfused: unfused.latency / fusemax.latency,
        energy: fusemax.energy_pJ / flat.energy_pJ,
      });
    }
  const mean = (key: keyof (typeof ratios)[number]) => ratios.reduce((n, r) => n + r[key], 0) / ratios.length;
  // 6.723 and 0.787 of the artifact's 24 points, 10.05 over the unfused ones
  expect(Math.abs(mean('flat') / 6.723 - 1)).toBeLessThan(0.002);
  expect(Math.abs(mean('unfused') / 10.05 - 1)).toBeLessThan(0.001);
  expect(Math.abs(mean('energy') / 0.787 - 1)).toBeLessThan(0.01);
});
