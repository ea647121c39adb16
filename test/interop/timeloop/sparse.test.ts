/** Every count that Sparseloop prints for sparse designs, from its input and its mapping. */
import { describe, expect, test } from 'vitest';
import { analyseNest } from '../../../src/engine/nest/analyse.js';
import { importTimeloop } from '../../../src/interop/timeloop/import.js';
import { CASES, goldenCase, HAS_GOLDEN, parseStats } from './golden.js';

const number = (text: string | undefined) => {
  if (text === undefined) throw new Error('the reference has no such figure');
  return Number(/-?[\d.]+(?:e[+-]?\d+)?/.exec(text)![0]);
};
const pair = (text: string | undefined) => (text ?? '0,0').split(',').map(Number);

describe.skipIf(!HAS_GOLDEN)('sparse designs', () => {
  for (const name of CASES.filter((c) => /^sparseloop-0[24]/.test(c)))
    test(name, () => {
      const { input, energy, map, stats } = goldenCase(name);
      const golden = parseStats(stats);
      const { machine, cascade, nest } = importTimeloop(input, energy, map);
      const a = analyseNest(nest!, cascade, machine.graph);
      expect(a.computes).toBe(number(golden.arithmetic['Algorithmic Computes (total)']));
      expect(a.sparse_computes).toEqual({
        actual: number(golden.arithmetic['Actual Computes (total)']),
        gated: number(golden.arithmetic['Gated Computes (total)']),
        skipped: number(golden.arithmetic['Skipped Computes (total)']),
      });
      expect(a.compute_cycles).toBe(number(golden.arithmetic['Cycles']));
      for (const [storage, { own, spaces }] of Object.entries(golden.storages)) {
        const s = a.stores.find((x) => x.store === storage)!;
        for (const [space, figures] of Object.entries(spaces)) {
          const t = s.tensors.find((x) => x.tensor === space)!;
          const z = t.sparse!;
          const where = `${storage} ${space}`;
          for (const what of ['reads', 'fills', 'updates'] as const) {
            const of = (kind: string) => number(figures[`${kind} scalar ${what} (per-instance)`]);
            expect({ dense: t[what], actual: z[what].actual, gated: z[what].gated }, `${where} ${what}`).toEqual({
              dense: of('Algorithmic'),
              actual: of('Actual'),
              gated: of('Gated'),
            });
            expect(z[what].skipped, `${where} skipped ${what}`).toBe(of('Skipped'));
            z.ranks.forEach((r, i) => {
              const rank = z.ranks.length - 1 - i;
              const format = (kind: string) =>
                pair(figures[`${kind} scalar format ${what} (per-instance) rank ${rank}`]);
              const own = r[what];
              const actual = (x: number | { actual: number }) => (typeof x === 'number' ? x : x.actual);
              expect([actual(own.metadata), actual(own.payload)], `${where} rank ${rank} ${what}`).toEqual(
                format('Actual'),
              );
              if (what !== 'fills')
                expect([r[what].metadata.skipped, r[what].payload.skipped]).toEqual(format('Skipped'));
            });
          }
          expect(z.stored, where).toBe(number(figures['Max utilized data storage capacity']));
          expect(z.format.length === 0 ? 'none' : z.format.join(' ').toLowerCase()).toBe(
            figures['Representation format'],
          );
          z.stored_metadata.forEach((u, i) => {
            expect([u.metadata, u.payload], where).toEqual(
              pair(figures[`Max utilized Repr format storage capacity rank ${z.ranks.length - 1 - i}`]),
            );
          });
          expect(t.reductions).toBe(number(figures['Temporal reductions (per-instance)']));
        }
        const total = Object.values(spaces).reduce((n, f) => n + number(f['Energy (total)']), 0);
        expect(Math.abs(s.energy_pJ - total), `${storage} energy ${s.energy_pJ} ${total}`).toBeLessThan(0.02);
        expect(s.cycles, storage).toBe(number(own['Cycles']));
        expect(s.leakage_pJ.toFixed(2)).toBe(number(own['Leakage energy (total)']).toFixed(2));
      }
      expect(a.cycles).toBe(number(golden.summary['Cycles']));
      expect(`${(a.utilisation * 100).toFixed(2)}%`).toBe(golden.summary['Utilization']);
      expect((a.energy_pJ * 1e-6).toFixed(2)).toBe(number(golden.summary['Energy']).toFixed(2));
    });
});
