/** Every op kind of the vector, attention and collective families has a kernel of that kind, and names are found. */
import { describe, expect, test } from 'vitest';
import { KERNEL_LIST, kernelsNamed } from '../../../src/kernel/library/index.js';
import { OP_KINDS } from '../../../src/workload/op.js';

describe('the library', () => {
  test("has a kernel for every kind of op but a user's own", () => {
    const kinds = new Set(KERNEL_LIST.map((k) => k.op));
    const missing = OP_KINDS.filter((k) => !kinds.has(k) && k !== 'custom');
    expect(missing).toEqual([]);
  });
  test('names the ways to compute attention by their family', () => {
    expect(kernelsNamed('attention').map((k) => k.name)).toEqual([
      'attention_fused',
      'attention_split',
      'attention_two_pass',
      'attention_unfused',
      'attention_small_memory',
      'attention_keys_outer',
      'attention_one_pass',
      'attention_rows_kept',
      'attention_phases',
    ]);
    expect(() => kernelsNamed('attenton')).toThrow("did you mean 'attention'");
  });
  test('states a default among the legal values of every parameter, and shape keys that toOp takes', () => {
    for (const kernel of KERNEL_LIST) {
      for (const [name, { values, default: d }] of Object.entries(kernel.params))
        expect(values, `${kernel.name} ${name}`).toContain(d);
      const shape = Object.fromEntries(
        Object.entries(kernel.shape).flatMap(([key, { default: d }]) => (d === undefined ? [[key, 4]] : [])),
      );
      expect(kernel.toOp(shape, 'fp16').kind, kernel.name).toBe(kernel.op);
    }
  });
});
