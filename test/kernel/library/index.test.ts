import { describe, expect, it } from 'vitest';
import { gemm } from '../../../src/kernel/library/gemm.js';
import {
  KERNEL_LIST,
  KERNELS,
  kernelByName,
  kernelNames,
  kernelsFor,
  kernelsNamed,
} from '../../../src/kernel/library/index.js';

describe('the registry of kernels', () => {
  it('names each kernel as it names itself', () => {
    for (const [name, kernel] of Object.entries(KERNELS)) expect(kernel.name).toBe(name);
  });
  it.each(KERNEL_LIST.map((k) => [k.name, k] as const))(
    '%s has ascending legal values with its default among them',
    (_, k) => {
      for (const [name, def] of Object.entries(k.params)) {
        expect(
          [...def.values].sort((a, b) => a - b),
          name,
        ).toEqual([...def.values]);
        expect(new Set(def.values).size, name).toBe(def.values.length);
        expect(def.values, name).toContain(def.default);
      }
    },
  );
  it('finds kernels of an op, in order', () => {
    const op = gemm.toOp({ m: 1, n: 2, k: 3 }, 'fp16');
    expect(kernelsFor(op).map((k) => k.name)).toEqual(['gemm', 'gemm_split_k', 'gemm_stream_k', 'gemv']);
  });
  it('finds one by its own name before a family', () => {
    expect(kernelsNamed('gemm').map((k) => k.name)).toEqual(['gemm']);
    expect(kernelsNamed('attention').length).toBeGreaterThan(1);
    expect(kernelByName('attention').family).toBe('attention');
    expect(kernelNames()).toContain('attention');
  });
  it('offers the nearest name for one that is unknown', () => {
    expect(() => kernelByName('conv2')).toThrow(/unknown kernel 'conv2'; did you mean 'conv2d'/);
  });
});
