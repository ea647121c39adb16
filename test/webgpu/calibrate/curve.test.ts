import { describe, expect, it } from 'vitest';
import { type CurvePoint, levelsOf } from '../../../src/webgpu/calibrate/curve.js';
import { workingSets } from '../../../src/webgpu/calibrate/memory.js';

const KiB = 1024;
/** Repeatable noise of ± `share`. */
const noise = (i: number, share: number) => 1 + share * Math.sin(12.9898 * (i + 1) * (i + 3));
const curve = (latency_ns: (bytes: number) => number, share = 0, perOctave: 1 | 4 = 4): CurvePoint[] =>
  workingSets(4 * KiB, 64 * KiB * KiB, perOctave).map((bytes, i) => ({
    bytes,
    time_s: latency_ns(bytes) * noise(i, share) * 1e-9,
  }));
const steps =
  (...levels: [capacity_B: number, ns: number][]) =>
  (bytes: number) =>
    levels.find(([capacity_B]) => bytes <= capacity_B)![1];

describe('levels of a memory from its curve', () => {
  it.each([
    ['one level', [[Number.POSITIVE_INFINITY, 5]], 0.05],
    [
      'two levels',
      [
        [48 * KiB, 2],
        [Number.POSITIVE_INFINITY, 6],
      ],
      0.08,
    ],
    [
      'three levels',
      [
        [32 * KiB, 1.3],
        [1024 * KiB, 4],
        [Number.POSITIVE_INFINITY, 80],
      ],
      0.1,
    ],
    [
      'four levels',
      [
        [32 * KiB, 1.3],
        [512 * KiB, 4],
        [8192 * KiB, 20],
        [Number.POSITIVE_INFINITY, 90],
      ],
      0.1,
    ],
  ] as [string, [number, number][], number][])('finds %s under noise', (_, levels, share) => {
    const found = levelsOf(curve(steps(...levels), share));
    expect(found).toHaveLength(levels.length);
    found.forEach((level, i) => {
      const [capacity_B, ns] = levels[i]!;
      expect(level.time_s * 1e9).toBeGreaterThan(ns * 0.9);
      expect(level.time_s * 1e9).toBeLessThan(ns * 1.1);
      expect(level.capacity_B === undefined).toBe(i === levels.length - 1);
      if (level.capacity_B === undefined) return;
      // to a step of the working sets
      const [from, to] = level.between_B!;
      expect(from).toBeLessThanOrEqual(capacity_B);
      expect(to).toBeGreaterThan(capacity_B);
      expect(level.capacity_B).toBeGreaterThanOrEqual(from);
      expect(level.capacity_B).toBeLessThanOrEqual(to);
    });
  });
  it('takes a slow change for the way between two levels, not for a level', () => {
    const found = levelsOf(
      curve((b) => (b <= 512 * KiB ? 4 : b >= 2048 * KiB ? 64 : 4 * (b / (512 * KiB)) ** 2), 0.05),
    );
    expect(found).toHaveLength(2);
    expect(found[0]!.capacity_B).toBeGreaterThan(700 * KiB);
    expect(found[0]!.capacity_B).toBeLessThan(1500 * KiB);
  });
  it('does not split at a step smaller than one and a half', () => {
    expect(levelsOf(curve(steps([256 * KiB, 5], [Number.POSITIVE_INFINITY, 6.5])))).toHaveLength(1);
  });
  it('splits at one larger than that', () => {
    expect(levelsOf(curve(steps([256 * KiB, 5], [Number.POSITIVE_INFINITY, 8])))).toHaveLength(2);
  });
  it('leaves a single outlier alone', () => {
    const points = curve(steps([64 * KiB, 2], [Number.POSITIVE_INFINITY, 10]), 0.03);
    const at = points.findIndex((p) => p.bytes === 4096 * KiB);
    points[at] = { ...points[at]!, time_s: points[at]!.time_s * 2 };
    expect(levelsOf(points)).toHaveLength(2);
  });
  it('works on whole octaves, as the first pass has them', () => {
    const found = levelsOf(curve(steps([48 * KiB, 2], [2048 * KiB, 6], [Number.POSITIVE_INFINITY, 60]), 0.05, 1));
    expect(found.map((l) => l.between_B)).toEqual([[32 * KiB, 64 * KiB], [2048 * KiB, 4096 * KiB], undefined]);
  });
  it('needs three points', () => expect(() => levelsOf([{ bytes: 1, time_s: 1 }])).toThrow(RangeError));
});

it('working sets stay within their bounds, four an octave', () => {
  const sets = workingSets(4096, 65536, 4);
  expect(sets[0]).toBe(4096);
  expect(sets.at(-1)).toBe(65536);
  expect(sets).toHaveLength(17);
  expect(workingSets(4096, 65536, 1)).toEqual([4096, 8192, 16384, 32768, 65536]);
});
