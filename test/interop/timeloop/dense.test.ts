/** Every figure that Timeloop prints for dense designs, from its input and its mapping. */
import { describe, expect, test } from 'vitest';
import { analyseNest } from '../../../src/engine/nest/analyse.js';
import { importTimeloop } from '../../../src/interop/timeloop/import.js';
import { CASES, goldenCase, HAS_GOLDEN, parseStats } from './golden.js';

if (!HAS_GOLDEN) console.log('Timeloop: reference results are absent (../shared/golden/timeloop), skipped');

const number = (text: string | undefined) => Number(/-?[\d.]+(?:e[+-]?\d+)?/.exec(text ?? '')?.[0]);
const printed = (pJ: number) => pJ.toFixed(2);

describe.skipIf(!HAS_GOLDEN)('dense designs', () => {
  for (const name of CASES.filter((c) => !/^sparseloop-0[24]/.test(c)))
    test(name, () => {
      const { input, energy, map, stats } = goldenCase(name);
      const golden = parseStats(stats);
      const { machine, cascade, nest } = importTimeloop(input, energy, map);
      const a = analyseNest(nest!, cascade, machine.graph);
      expect(a.computes).toBe(number(golden.arithmetic['Computes (total)']));
      expect(a.places).toBe(number(golden.arithmetic['Utilized instances']));
      expect(a.cycles).toBe(number(golden.summary['Cycles']));
      expect(printed(a.compute_pJ)).toBe(printed(number(golden.arithmetic['Energy (total)'])));
      expect(`${(a.utilisation * 100).toFixed(2)}%`).toBe(golden.summary['Utilization']);
      expect((a.energy_pJ * 1e-6).toFixed(2)).toBe(number(golden.summary['Energy']).toFixed(2));
      for (const [storage, { own, spaces }] of Object.entries(golden.storages)) {
        const s = a.stores.find((x) => x.store === storage)!;
        expect(s.cycles, storage).toBe(number(own['Cycles']));
        expect(printed(s.leakage_pJ)).toBe(printed(number(own['Leakage energy (total)'])));
        let total = 0;
        for (const [space, figures] of Object.entries(spaces)) {
          const t = s.tensors.find((x) => x.tensor === space)!;
          expect(
            {
              partition: t.partition,
              tile: t.tile,
              instances: t.instances,
              reads: t.reads,
              fills: t.fills,
              updates: t.updates,
              reductions: t.reductions,
            },
            `${storage} ${space}`,
          ).toEqual({
            partition: number(figures['Partition size']),
            tile: number(figures['Utilized capacity']),
            instances: number(figures['Utilized instances (max)']),
            reads: number(figures['Scalar reads (per-instance)']),
            fills: number(figures['Scalar fills (per-instance)']),
            updates: number(figures['Scalar updates (per-instance)']),
            reductions: number(figures['Temporal reductions (per-instance)']),
          });
          total += number(figures['Energy (total)']);
        }
        expect(Math.abs(s.energy_pJ - total), `${storage} energy ${s.energy_pJ} ${total}`).toBeLessThan(0.02);
        expect(s.tensors.length).toBe(Object.keys(spaces).length);
      }
    });
});
