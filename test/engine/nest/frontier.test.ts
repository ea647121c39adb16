/** The least words per buffer size, against Orojenesis' figures and its closed form. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { trafficFrontier } from '../../../src/engine/nest/frontier.js';
import { kernelByName } from '../../../src/kernel/library/index.js';
import { opCascade } from '../../../src/kernel/op-cascade.js';
import { parseShape } from '../../../src/kernel/shape.js';

const FOLDER = resolve(import.meta.dirname, '..', '..', '..', '..', 'shared', 'golden', 'orojenesis');
const HAS = existsSync(FOLDER);
if (!HAS) console.log('Orojenesis: reference results are absent (../shared/golden/orojenesis), skipped');

function frontier(m: number, k: number, n: number) {
  const gemm = kernelByName('gemm');
  const cascade = opCascade(gemm.toOp(parseShape(`m=${m},n=${n},k=${k}`, gemm.shape), 'fp16'))!;
  return trafficFrontier(cascade, cascade.einsums[0]!);
}

describe.skipIf(!HAS)('each point of the reference', () => {
  for (const file of HAS ? readdirSync(FOLDER).filter((f) => f.endsWith('.csv')) : [])
    test(file, () => {
      const [, m, k, n] = /(\d+)x(\d+)x(\d+)_MKN/.exec(file)!.map(Number);
      const golden = readFileSync(join(FOLDER, file), 'utf8')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => line.split(',').slice(0, 2).map(Number));
      expect(frontier(m!, k!, n!).map((p) => [p.buffer_words, p.words])).toEqual(golden);
    });
});

test('a point with outputs that stay has mn + m + n words and moves MNK (1/m + 1/n) + MN', () => {
  const [M, K, N] = [16, 32, 8];
  const points = frontier(M, K, N);
  for (const [m, n] of [
    [4, 4],
    [8, 8],
    [16, 8],
  ] as const) {
    const words = M * N * K * (1 / m + 1 / n) + M * N;
    const at = points.filter((p) => p.buffer_words <= m * n + m + n).at(-1)!;
    expect(at.words).toBeLessThanOrEqual(words);
  }
  // the last point holds a whole operand and moves each tensor once
  expect(points.at(-1)!.words).toBe(M * K + K * N + M * N);
  for (let i = 1; i < points.length; i++) {
    expect(points[i]!.buffer_words).toBeGreaterThan(points[i - 1]!.buffer_words);
    expect(points[i]!.words).toBeLessThan(points[i - 1]!.words);
  }
});
