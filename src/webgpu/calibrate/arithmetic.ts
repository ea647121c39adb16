/**
 * Arithmetic. A body works on `VALUES` variables, `rounds` operations on each. Two bodies that differ in rounds give the
 * operation; one variable with chains of two lengths its latency.
 */
import type { AdapterInfo } from '../device/job.js';
import { type Probe, range, shaderOf } from './probe.js';
import type { Setup } from './setup.js';

export const VALUES = 8;
/** Few and many rounds: enough of either that throughput binds, not what the loop waits for. */
export const ROUNDS = { plain: [8, 16], slow: [2, 4] } as const;
/** Dependent operations of the short and the long chain. */
export const CHAIN = [16, 64] as const;

interface Operation {
  /** x: the value; y: another one. */
  readonly code: (x: string, y: string) => string;
  readonly type?: 'f32' | 'u32' | 'f16';
  /** Operations of this class that `code` holds. */
  readonly count?: number;
  readonly head?: string;
  /** Tens of instructions each. */
  readonly slow?: boolean;
  /** Other operations that `code` holds, left out of the result. */
  readonly besides?: readonly [name: 'add' | 'mul', count: number];
}

/** By name in the description: a function, or function_dtype. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  fma: { code: (x) => `${x} = fma(${x}, k, k);` },
  add: { code: (x) => `${x} = ${x} + k;` },
  mul: { code: (x) => `${x} = ${x} * k;` },
  max: { code: (x, y) => `${x} = max(${x}, ${y});` },
  select: { code: (x, y) => `${x} = select(${y}, k, ${x} < k);` },
  convert: { code: (x) => `${x} = f32(i32(${x} * k));`, count: 2, besides: ['mul', 1] },
  int: { code: (x) => `${x} = (${x} ^ c) + c;`, type: 'u32', count: 2 },
  fma_int32: { code: (x) => `${x} = ${x} * c + c;`, type: 'u32' },
  exp2: { code: (x) => `${x} = exp2(${x});`, slow: true },
  log2: { code: (x) => `${x} = log2(${x});`, slow: true },
  rcp: { code: (x) => `${x} = 1.0 / (${x} + k);`, slow: true, besides: ['add', 1] },
  rsqrt: { code: (x) => `${x} = inverseSqrt(${x});`, slow: true },
  sqrt: { code: (x) => `${x} = sqrt(${x});`, slow: true },
  sin: { code: (x) => `${x} = sin(${x});`, slow: true },
  tanh: { code: (x) => `${x} = tanh(${x});`, slow: true },
};

/** Where the adapter has 16-bit floats. A CPU adds them in 32 bits, so that the addition converts there and back too. */
const f16 = (cpu: boolean): Readonly<Record<string, Operation>> => ({
  fma_fp16: { code: (x) => `${x} = fma(${x}, kh, kh);`, type: 'f16', head: 'enable f16;' },
  convert: {
    code: (x) => `${x} = f32(f16(${x}) + f16(k));`,
    count: cpu ? 4 : 2,
    besides: ['add', 1],
    head: 'enable f16;',
  },
});
/** Where its language has packed products. */
const DOT4: Readonly<Record<string, Operation>> = {
  // one instruction does four multiply–adds
  fma_int8: {
    code: (x) => `${x} = u32(dot4I8Packed(${x}, c)) + c;`,
    type: 'u32',
    count: 4,
    head: 'requires packed_4x8_integer_dot_product;',
  },
};

export function operationsOf(info: AdapterInfo): Record<string, Operation> {
  return {
    ...OPERATIONS,
    ...(info.features.includes('shader-f16') ? f16(info.fallback) : {}),
    ...(info.language_features.includes('packed_4x8_integer_dot_product') ? DOT4 : {}),
  };
}

export const countOf = (op: Operation): number => op.count ?? 1;
export const roundsOf = (op: Operation): readonly [number, number] => ROUNDS[op.slow ? 'slow' : 'plain'];

export function arithmeticProbes(setup: Setup): Probe[] {
  const { info, lanes, fill } = setup;
  const probe = (id: string, op: Operation, values: number, rounds: number): Probe => ({
    id,
    wgsl: bodyOf(op, values, rounds, lanes),
    lanes,
    workgroups: fill,
    buffer_B: 4 * lanes,
  });
  const operations = operationsOf(info);
  const { fma, int, exp2 } = OPERATIONS;
  return [
    ...Object.entries(operations).flatMap(([name, op]) =>
      roundsOf(op).map((rounds, i) => probe(`math ${name} ${i === 0 ? 'few' : 'many'}`, op, VALUES, rounds)),
    ),
    ...Object.entries({ clock: int!, vector: fma!, special: exp2! }).flatMap(([name, op]) =>
      CHAIN.map((length) => ({ ...probe(`chain ${name} ${length}`, op, 1, length), workgroups: 1 })),
    ),
  ];
}

function bodyOf(op: Operation, values: number, rounds: number, lanes: number): string {
  const type = op.type ?? 'f32';
  const first = { f32: 'f32(lane) * k + ', u32: 'lane + ', f16: 'f16(lane) * kh + ' }[type];
  const number = { f32: (i: number) => `${i}.0`, u32: (i: number) => `${i}u`, f16: (i: number) => `${i}.0h` }[type];
  const x = (i: number) => `x${i % values}`;
  const sum = range(values).map(x).join(' + ');
  return shaderOf({
    lanes,
    head: op.head,
    setup: [
      ...(type === 'f16' ? ['let kh = f16(k);'] : []),
      ...range(values).map((i) => `var x${i} = ${first}${number(i + 1)};`),
    ].join('\n'),
    body: range(rounds * values)
      .map((i) => op.code(x(i), x(i + 1)))
      .join('\n'),
    result: { f32: `bitcast<u32>(${sum})`, u32: sum, f16: `u32(${sum})` }[type],
  });
}
