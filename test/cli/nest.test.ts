/** Nests from the command line: printed, written by hand, and Timeloop's inputs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { TimeloopResult } from '../../src/interop/timeloop/simulate.js';
import type { Nest } from '../../src/kernel/nest.js';
import { built, run } from './spawn.js';

// each test starts a process or two
vi.setConfig({ testTimeout: 60_000 });

let home: string;
const file = (name: string, text: string): string => {
  writeFileSync(join(home, name), text);
  return join(home, name);
};

beforeAll(async () => {
  await built();
  home = mkdtempSync(join(tmpdir(), 'tilewright-nest-'));
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** One buffer of 16 words beside a row of four multipliers. */
const INPUT = `
architecture:
  version: 0.4
  nodes:
    - !Container
      name: system
      attributes: { technology: 45nm, global_cycle_seconds: 1e-9 }
    - !Component
      name: DRAM
      class: DRAM
      attributes: { width: 64, datawidth: 8, colour: red }
    - !Component
      name: buffer
      class: SRAM
      attributes: { depth: 16, width: 8, datawidth: 8, read_bandwidth: 4 }
    - !Container
      name: PE
      spatial: { meshX: 4 }
    - !Component
      name: register
      class: regfile
      attributes: { depth: 2, width: 8, datawidth: 8 }
    - !Component
      name: mac
      class: intmac
      attributes: { width: 8 }
problem:
  version: 0.4
  shape:
    name: product
    dimensions: [M, K]
    data_spaces:
      - { name: A, projection: [[[M]], [[K]]] }
      - { name: X, projection: [[[K]]] }
      - { name: Y, projection: [[[M]]], read_write: true }
  instance: { M: 8, K: 4 }
ERT:
  tables:
    - name: system.DRAM[1..1]
      actions: [{ name: read, energy: 64 }, { name: write, energy: 64 }]
`;
const MAPPING = `
mapping:
  - { target: DRAM, type: temporal, factors: M=2 K=1, permutation: KM }
  - { target: buffer, type: temporal, factors: "M=1,K=4", permutation: KM }
  - { target: inter_PE_spatial, type: spatial, factors: M=4, permutation: MK }
  - { target: inter_PE_spatial, type: bypass, bypass: [A, X, Y] }
  - { target: buffer, type: bypass, bypass: [A] }
  - { target: register, type: bypass, bypass: [A, X] }
`;
const from = (path: string, ...more: string[]) => run(['kernel', '--from', path, '--json', ...more]);

test('an input of Timeloop with its mapping: counts by hand, and what is not understood is said', async () => {
  const r = await from(file('mapped.yaml', INPUT + MAPPING));
  expect([r.code, r.stderr]).toEqual([0, expect.stringContaining("'colour' is not understood and left out")]);
  const result = JSON.parse(r.stdout) as TimeloopResult;
  expect(result.warnings.some((w) => w.includes('DRAM') && w.includes('colour'))).toBe(true);
  const { detail } = result;
  // 32 points on 4 places; x is sent to all four at once, y is summed where it stays
  expect([detail.computes, detail.cycles, detail.places]).toEqual([32, 8, 4]);
  const at = (store: string, tensor: string) => {
    const t = detail.stores.find((s) => s.store === store)!.tensors.find((x) => x.tensor === tensor)!;
    return [t.tile, t.instances, t.reads, t.fills, t.updates];
  };
  expect(at('buffer', 'X')).toEqual([4, 1, 8, 4, 0]);
  expect(at('register', 'Y')).toEqual([1, 4, 6, 0, 8]);
  expect(at('buffer', 'Y')).toEqual([4, 1, 0, 0, 8]);
  expect(at('DRAM', 'A')).toEqual([32, 1, 32, 0, 0]);
  expect(at('DRAM', 'Y')).toEqual([8, 1, 0, 0, 8]);
  // ⌈32/8⌉ + ⌈4/8⌉ reads and one write of 64 pJ
  expect(detail.energy_pJ).toBe(6 * 64);
  expect(result.energy_J).toBeCloseTo(6 * 64e-12, 20);
});

test('without a mapping one is found, the same for the same seed', async () => {
  const path = file('free.yaml', INPUT);
  const [a, b] = [await from(path, '--seed', '5'), await from(path, '--seed', '5')];
  expect([a.code, a.stdout]).toEqual([0, b.stdout]);
  const result = JSON.parse(a.stdout) as TimeloopResult;
  expect(result.tried).toBeGreaterThan(100);
  expect(result.detail.cycles).toBe(8);
});

test('constraints hold wherever they stand; what no rule expresses is said', async () => {
  const constraints = `
mapspace:
  version: 0.4
  constraints:
    - { target: inter_PE_spatial, type: spatial, factors: M=1 }
    - { target: buffer, type: utilization, min: 0.5 }
mapper: { optimization_metrics: [last-level-accesses] }
`;
  const r = await from(file('constrained.yaml', INPUT + constraints));
  const { detail, warnings } = JSON.parse(r.stdout) as TimeloopResult;
  // the four places can only share K
  expect([detail.cycles, JSON.stringify(detail.nest).includes('across x: for M')]).toEqual([8, false]);
  expect(warnings.filter((w) => /utilization|last-level/.test(w))).toHaveLength(2);
});

test('an architecture of nested subtrees: its clock, its places, and its unknown keys', async () => {
  const architecture = `
architecture:
  subtree:
    - name: system
      colour: red
      attributes: { technology: 45nm, global_cycle_seconds: 2e-9 }
      local:
        - { name: DRAM, class: DRAM, attributes: { width: 64, block-size: 8, word-bits: 8 } }
      subtree:
        - name: PE[0..3]
          local:
            - { name: register, class: regfile, attributes: { depth: 4, width: 8, block-size: 1, word-bits: 8 } }
            - { name: mac, class: intmac, attributes: { datawidth: 8 } }
`;
  const r = await from(
    file('subtree.yaml', architecture + INPUT.slice(INPUT.indexOf('\nproblem:'), INPUT.indexOf('\nERT:'))),
  );
  const { detail, time_s, warnings } = JSON.parse(r.stdout) as TimeloopResult;
  expect([detail.places_all, detail.cycles]).toEqual([4, 8]);
  expect(time_s).toBeCloseTo(16e-9, 15);
  expect(warnings).toEqual(expect.arrayContaining([expect.stringMatching(/subtree\[system\]: 'colour'/)]));
});

const GEMM = ['kernel', 'gemm', '-m', 'eyeriss-like', '--shape', 'm=32,n=16,k=24', '--dtype', 'int8'];

describe('a nest written by hand', () => {
  let nest: Nest;
  const edited = (name: string, edit: (n: Nest) => unknown): string => {
    const copy = structuredClone(nest);
    return file(name, JSON.stringify(edit(copy) ?? copy));
  };
  beforeAll(async () => {
    const r = await run([...GEMM, '--emit', 'nest', '--json']);
    nest = (JSON.parse(r.stdout) as { nests: Nest[] }).nests[0]!;
  }, 60_000);

  test('as it was printed runs as it did', async () => {
    const found = JSON.parse((await run([...GEMM, '--json'])).stdout) as { time_s: number; energy_J: number };
    const r = await run([...GEMM, '--json', '--nest', edited('same.json', () => undefined)]);
    expect(r.code).toBe(0);
    const same = JSON.parse(r.stdout) as { time_s: number; energy_J: number };
    expect([same.time_s, same.energy_J]).toEqual([found.time_s, found.energy_J]);
  });

  type Mutable = {
    stages: { nests: { einsum: string; levels: { level: string; loops: object[]; keeps: object }[] }[] }[];
  };
  test.each<[string, (n: Mutable) => unknown, number, RegExp]>([
    ['no nest', () => [], 2, /is no nest/],
    ['unknown key', (n) => ({ ...n, stage: [] }), 2, /unknown key 'stage'; did you mean 'stages'/],
    [
      'a rank that no loop covers',
      (n) => {
        for (const l of n.stages[0]!.nests[0]!.levels) l.loops = [];
      },
      2,
      /cover 1 of \d+: there is none/,
    ],
    [
      'more places than there are',
      (n) => void n.stages[0]!.nests[0]!.levels[1]!.loops.push({ rank: 'e', size: 4096, spatial: 'x' }),
      2,
      /take \d+ places along x, there are \d+/,
    ],
    ['an unknown einsum', (n) => void (n.stages[0]!.nests[0]!.einsum = 'D'), 2, /unknown einsum 'D'/],
    [
      'an unknown level',
      (n) => void (n.stages[0]!.nests[0]!.levels[0]!.level = 'dramm'),
      2,
      /unknown level 'dramm'; did you mean 'dram'/,
    ],
    [
      'a store elsewhere',
      (n) => void (n.stages[0]!.nests[0]!.levels[1]!.keeps = { A: 'dram' }),
      2,
      /unknown store 'dram'/,
    ],
    [
      'a share of what nothing keeps',
      (n) => void Object.assign(n.stages[0]!.nests[0]!, { waits: { D: 0.5 } }),
      2,
      /waits: unknown kept tensor 'D'/,
    ],
    ['a share beyond the whole', (n) => void Object.assign(n.stages[0]!.nests[0]!, { waits: { A: 1.5 } }), 2, /waits/],
  ])('with %s is refused with its place', async (name, edit, code, message) => {
    const path = edited(`${name.replaceAll(' ', '-')}.json`, (n) => edit(n as unknown as Mutable));
    const r = await run([...GEMM, '--nest', path]);
    expect([r.code, r.stdout]).toEqual([code, '']);
    expect(r.stderr).toMatch(message);
    expect(r.stderr).toContain('.json');
  });

  test('with a tile over a capacity is infeasible, and says by how much', async () => {
    const r = await from(
      file(
        'over.yaml',
        INPUT +
          MAPPING.replace('M=2 K=1', 'M=1 K=1')
            .replace('M=1,K=4', 'M=2,K=4')
            .replace('bypass, bypass: [A] }', 'bypass, bypass: [] }'),
      ),
    );
    expect([r.code, r.stdout]).toEqual([3, '']);
    expect(r.stderr).toMatch(/tiles take 44 words of buffer, which has 16 words/);
  });
});
