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
  unfused: ['unfused', 'attention_phases', {}],
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

interface Row {
  readonly problem: Problem;
  readonly length: string;
  readonly figures: Readonly<Record<string, number>>;
}

function rowsOf(variant: Variant): Row[] {
  const [head, ...rows] = readFileSync(new URL(`attn-${variant}.csv`, FOLDER), 'utf8')
    .trim()
    .split('\n')
    .map((l) => l.split(','));
  return rows.map((cells) => {
    const g = Object.fromEntries(head!.map((h, i) => [h, cells[i]!]));
    const length = g['seq_len']!;
    return {
      problem: { B: 64, H: g['model'] === 'BERT' ? 12 : 16, N: LENGTHS[length]!, E: 64 },
      length,
      figures: Object.fromEntries(Object.entries(g).map(([k, v]) => [k, Number(v)])),
    };
  });
}

const F_HZ = 940e6;
const DRAM_B_PER_S = 400 * 2 ** 30;
const SIDE = 256;
const SCALE_PJ = 17.1645;
const DRAM_PJ_PER_B = 31.2;
/** A word of the buffers: 32 MiB (FLAT, unfused) and 16 MiB. */
const READ_PJ = { 32: 23854.664592 / 256, 16: 12512.760592 / 256 };
const WRITE_PJ = { 32: 27097.564592 / 256, 16: 15751.460592 / 256 };
const LARGE_BUFFER = [
  `shared.buffer.read_energy=${READ_PJ[32] / 2} pJ/B`,
  `shared.buffer.write_energy=${WRITE_PJ[32] / 2} pJ/B`,
];

/** Bytes that the artifact moves beyond those moved here, by cause. */
function moreTraffic(variant: Variant, { B, H, N, E }: Problem): number {
  const operand_B = B * H * N * E * 2;
  const scores_B = B * H * N * N * 2;
  if (variant === 'unfused' && N === LENGTHS['256K'])
    // keys and values fetched eight times, here twice: its search stops at 128 tiles of queries
    return 2 * 6 * operand_B;
  if (variant !== 'flat' || N > 65536) return 0;
  // queries pass the buffer by, and are fetched anew for each block of keys
  const queries_B = (N / SIDE - 1) * operand_B;
  // rows of scores and double-buffered tiles take 129/128 of the buffer: as much waits outside, out and back seven times
  const theirs_B = N === 1024 ? 0 : (7 / 129) * scores_B;
  // here two (at 64K, one) blocks of keys have no room, and are passed six times
  const ours_B = N === 65536 ? (6 / (N / SIDE)) * scores_B : 0;
  return queries_B + theirs_B - ours_B;
}

/** Words read from and written to the buffer for each score beyond those here, by cause. */
function moreWords(variant: Variant, { H, N }: Problem): { reads: number; writes: number } {
  const wide = N === LENGTHS['1M'] || (N === LENGTHS['256K'] && H === 16);
  if (variant === 'binding' || variant === 'arch')
    // from 256K the artifact reads a word more for every four scores (six in one row)
    return { reads: wide ? 1 / 4 : N === LENGTHS['256K'] ? 1 / 6 : 0, writes: 0 };
  if (variant === 'cascade') return { reads: N === LENGTHS['1M'] ? 9 / 4 : N === LENGTHS['256K'] ? 2 : 0, writes: 0 };
  // where rows do not fit 256 at a time, lanes share one here, and their 256 maxima and sums meet in the buffer
  const parts = N >= 65536 ? (2 * SIDE) / N : 0;
  if (variant === 'unfused') return { reads: (wide ? 1 : 0) - parts, writes: -parts };
  if (N <= 65536)
    // queries, keys and values go straight to the array and sums of AV stay in it; the maximum reads its scores back;
    // at 64K each score is read once more
    return { reads: N === 65536 ? 1 : 0, writes: -3 / 4 };
  // keys and values go straight to the array; each score is read once or twice more
  return { reads: -1 / 2 + (wide ? 2 : 1), writes: -1 / 8 };
}

describe.skipIf(!existsSync(FOLDER))(
  'FuseMax’s artifact: each figure is met, or is so once its cause is counted',
  () => {
    test.each(Object.keys(VARIANTS) as Variant[])('%s', async (variant) => {
      for (const { problem, length, figures: g } of rowsOf(variant)) {
        const r = await run(variant, problem);
        const { B, H, N, E } = problem;
        const where = `${variant} ${H} heads ${length}`;
        const more_B = moreTraffic(variant, problem);
        expect((r.traffic + more_B) / g['traffic']!, where).toBeCloseTo(1, 9);
        // that of FLAT hides behind the lanes
        const more_s = variant === 'unfused' ? more_B / DRAM_B_PER_S : 0;
        expect((r.latency + more_s) / g['latency']!, where).toBeCloseTo(1, 9);
        // queries scaled by 1/√d, which the artifact leaves out, on the array or where that is busier on the lanes
        const scales = B * H * N * E;
        const onLanes = variant === 'arch' || variant === 'unfused';
        const scale_s = scales / SIDE / (onLanes ? 1 : E) / F_HZ;
        expect((r.util_2d * r.latency - (onLanes ? 0 : scale_s)) / g['latency']! - g['util_2d']!, where).toBeCloseTo(
          0,
          9,
        );
        expect((r.util_1d * r.latency - (onLanes ? scale_s : 0)) / g['latency']! - g['util_1d']!, where).toBeCloseTo(
          0,
          9,
        );
        // +Cascade is charged FLAT’s buffer of 32 MiB, though it is mapped on 16, and no exponentials
        const size = variant === 'arch' || variant === 'binding' ? 16 : 32;
        const { energy_pJ: charged_pJ } = variant === 'cascade' ? await run(variant, problem, LARGE_BUFFER) : r;
        const exponentials_pJ = variant === 'cascade' ? B * H * N * N * (1 + 1 / SIDE) * 94.6475 : 0;
        const { reads, writes } = moreWords(variant, problem);
        const buffer_pJ = B * H * N * N * (reads * READ_PJ[size] + writes * WRITE_PJ[size]);
        const energy_pJ = charged_pJ + more_B * DRAM_PJ_PER_B + buffer_pJ - scales * SCALE_PJ - exponentials_pJ;
        expect(Math.abs(energy_pJ / g['energy']! - 1), where).toBeLessThan(2e-4);
      }
    });

    it.each([
      ['cloud', 256, []],
      ['edge', 32, ['shared.buffer.capacity=512 KiB', 'dram.bandwidth=50 GiB/s']],
    ] as const)(
      'FLAT’s products on the %s array take the published ideal time, for all four models',
      async (platform, D, set) => {
        const [head, ...lines] = readFileSync(new URL('flat_validation.csv', FOLDER), 'utf8').trim().split('\n');
        const at = (cells: readonly string[], key: string) => cells[head!.split(',').indexOf(key)]!;
        const models = new Set<string>();
        for (const cells of lines.map((l) => l.split(','))) {
          if (at(cells, 'platform') !== platform) continue;
          models.add(at(cells, 'models'));
          const [B, H, N, E] = ['B', 'H', 'M', 'E'].map((key) => Number(at(cells, key))) as [
            number,
            number,
            number,
            number,
          ];
          const r = await run('flat', { B, H, N, E }, [...sides(D), ...set]);
          // where fewer rows than columns fit, the others are empty
          const tiles = Math.ceil(N / r.tile['bq']!) / (N / D);
          const scale_s = (B * H * N * E * tiles) / D / Math.min(D, E) / F_HZ;
          const ideal_s = Number(at(cells, 'ideal_latency')) * tiles;
          // the scaled queries are on the array, or on the lanes where those have more time
          const off = [scale_s, 0].map((s) => Math.abs((r.util_2d * r.latency - s) / ideal_s - 1));
          expect(Math.min(...off), `${at(cells, 'models')} ${N}`).toBeLessThan(1e-9);
        }
        expect([...models].sort()).toEqual(['BERT', 'T5', 'TrXL', 'XLM']);
      },
    );

    it('registers of all elements: what the published counts give beside what is used', async () => {
      const flat = await run('flat', { B: 64, H: 12, N: 16384, E: 64 });
      const fusemax = await run('binding', { B: 64, H: 12, N: 16384, E: 64 });
      expect(flat.all_registers_pJ / flat.energy_pJ).toBeCloseTo(1.38, 2);
      expect(fusemax.all_registers_pJ / fusemax.energy_pJ).toBeCloseTo(1.55, 2);
      // three reads and three writes a multiply–accumulate; counts of the busiest element times all 65,536, though FLAT's
      // second product lies on 64 of 256 columns, make 5/2 of it, which is the +125 % that such an account gives
      const score_pJ = (macs: number) => macs * 3 * (2.182395 + 1.894395);
      const energy_pJ = flat.energy_pJ / (64 * 12 * 16384 ** 2);
      expect(score_pJ(64 + 4 * 64) / energy_pJ).toBeCloseTo(1.25, 1);
      expect(score_pJ(64 + 64) / energy_pJ).toBeCloseTo(0.5, 1);
    });
  },
);

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

it('a machine runs the attention that its control is made for, unless another is asked for or alone applies', async () => {
  const attention = async (machine: string, shape: object, kernel?: string, set: string[] = []) => {
    const { graph } = await openMachine(machine, set);
    const op = kernelByName('attention').toOp({ heads: 12, q_len: 1024, head_dim: 64, ...shape }, 'fp16');
    return simulateKernel(op, graph, kernel === undefined ? {} : { kernel }).result.kernel;
  };
  expect(await attention('flat', {})).toBe('attention_rows_kept');
  expect(await attention('unfused', {})).toBe('attention_phases');
  expect(await attention('fusemax-cascade', {})).toBe('attention_one_pass');
  expect(await attention('fusemax', {})).toBe('attention_one_pass');
  expect(await attention('flat', {}, 'attention_one_pass')).toBe('attention_one_pass');
  // rows of a causal tile see different keys: no nest is laid for it
  expect(await attention('flat', { causal: 1 })).not.toBe('attention_rows_kept');
  await expect(attention('flat', {}, undefined, ['runs.attention=attention_row_kept'])).rejects.toThrow(
    "flat: runs.attention: unknown kernel 'attention_row_kept'",
  );
});
