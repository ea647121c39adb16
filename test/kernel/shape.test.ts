import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { gemm } from '../../src/kernel/library/gemm.js';
import { parseShape } from '../../src/kernel/shape.js';

const keys = gemm.shape;

describe('--shape', () => {
  it.each([
    ['m=4096,n=4096,k=64', { m: 4096, n: 4096, k: 64 }],
    [' m=1 , n=2,k=3,batch=8 ', { m: 1, n: 2, k: 3, batch: 8 }],
    ['m=1e3,n=2,k=3,', { m: 1000, n: 2, k: 3 }],
  ])('%s', (text, shape) => expect(parseShape(text, keys)).toEqual(shape));

  it('reads words and truth values', () => {
    const words = {
      op: { description: 'function', words: ['add', 'mul'] },
      causal: { description: 'mask', default: 0 },
    };
    expect(parseShape('op=mul,causal=true', words)).toEqual({ op: 1, causal: 1 });
    expect(() => parseShape('op=mull', words)).toThrow(/did you mean 'mul'/);
  });

  it.each([
    ['m=4,n=4', /'k' is missing: columns of A/],
    ['m=4,n=4,k=4,bach=2', /unknown shape key 'bach'; did you mean 'batch'/],
    ['m=4,n=4,k=4.5', /'k' is '4.5', expected a whole number/],
    ['m=4,n=4,k=-4', /'k' is '-4'/],
    ['m=4,n=4,k=', /'k' is ''/],
    ['m=4,n=4,k=Infinity', /'k' is 'Infinity'/],
    ['m=4,n=4,k=4,k=5', /'k' is given twice/],
    ['m=4,n,k=4', /expected key=value, got 'n'/],
    ['m=4,n=4,toString=4,k=1', /unknown shape key 'toString'/],
  ])('refuses %s', (text, message) => {
    expect(() => parseShape(text, keys)).toThrow(InputError);
    expect(() => parseShape(text, keys)).toThrow(message);
  });
  it('zero is left to the kernel, which refuses it', () => {
    expect(() => gemm.toOp(parseShape('m=0,n=4,k=4', keys), 'fp16')).toThrow(/'m' is 0, expected a whole number ≥ 1/);
  });
});
