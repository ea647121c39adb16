/** Profiles of PyTorch as traces: a layer as the profiler writes it, made by hand. */
import { describe, expect, test } from 'vitest';
import { importProfile } from '../../src/interop/pytorch/import.js';
import { flopsOf } from '../../src/workload/op.js';
import { readTrace, writeTrace } from '../../src/workload/trace.js';

const BF16 = 'c10::BFloat16';
let clock = 0;
/** A call and those in it, one after another. */
function call(name: string, dims: number[][], values: string[] = [], inner: object[][] = [], type = BF16): object[] {
  const ts = clock++;
  const within = inner.flat();
  return [
    {
      ph: 'X',
      cat: 'cpu_op',
      name,
      pid: 1,
      tid: 1,
      ts,
      dur: clock++ - ts,
      args: {
        'Input Dims': dims,
        'Input type': dims.map((d) => (d.length > 0 ? type : 'Scalar')),
        'Concrete Inputs': values,
      },
    },
    ...within,
  ];
}
/** Arguments are worked out first: the clock of an outer call must start before and end after. */
function around(name: string, dims: number[][], inner: () => object[][]): object[] {
  const ts = clock++;
  const within = inner().flat();
  return [
    { ph: 'X', cat: 'cpu_op', name, pid: 1, tid: 1, ts, dur: clock++ - ts, args: { 'Input Dims': dims } },
    ...within,
  ];
}

const [T, D, H] = [512, 1024, 16];
const profile = (events: object[]) => JSON.stringify({ schemaVersion: 1, traceEvents: events });
const layer = () => [
  ...call('aten::native_layer_norm', [[1, T, D], [], [D], [D], []]),
  ...around('aten::linear', [[1, T, D], [3 * D, D], [3 * D]], () => [
    call('aten::t', [[3 * D, D]]),
    call('aten::addmm', [[3 * D], [T, D], [D, 3 * D], [], []]),
  ]),
  ...around(
    'aten::scaled_dot_product_attention',
    [
      [1, H, T, 64],
      [1, H, T, 64],
      [1, H, T, 64],
    ],
    () => [
      call(
        'aten::_scaled_dot_product_flash_attention',
        [
          [1, H, T, 64],
          [1, H, T, 64],
          [1, H, T, 64],
        ],
        ['', '', '', '0.', 'True'],
      ),
    ],
  ),
  ...call('aten::mm', [
    [T, D],
    [D, D],
  ]),
  ...call('aten::add_', [[1, T, D], [1, T, D], []]),
  ...call('aten::mul', [[1, T, D], []]),
  ...call('aten::_softmax', [[8, 100, 200], [], []], ['', '-1', 'False']),
  ...call('aten::_softmax', [[8, 100, 200], [], []], ['', '1', 'False']),
  ...call('aten::copy_', [[64], [64]]),
  ...call('aten::fancy_scan', [[64]]),
  { ph: 'X', cat: 'kernel', name: 'ampere_gemm', ts: 5, dur: 3 },
];

describe('a profile', () => {
  const { trace, left_out } = importProfile(profile(layer()), 'p.json', 'layer');

  test('is the innermost calls in order, each once', () => {
    expect(trace.ops.map((op) => op.name)).toEqual([
      'native_layer_norm',
      'addmm',
      '_scaled_dot_product_flash_attention',
      'mm',
      'add_',
      'mul',
      '_softmax',
      'copy_',
    ]);
    expect(trace.ops.map((op) => op.deps)).toEqual([[], ['1'], ['2'], ['3'], ['4'], ['5'], ['6'], ['7']]);
  });

  test('has the shapes and formats of its tensors', () => {
    expect(trace.ops[0]).toMatchObject({ kind: 'normalise', norm: 'layer', rows: T, cols: D, dtype: 'bf16' });
    expect(trace.ops[1]).toMatchObject({ kind: 'matmul', m: T, n: 3 * D, k: D, bias: true, weights: true, a: 'bf16' });
    expect(trace.ops[2]).toMatchObject({ heads: H, q_len: T, kv_len: T, head_dim: 64, causal: true, cached: false });
    expect(trace.ops[4]).toMatchObject({ kind: 'elementwise', fn: 'add', n: T * D });
    expect(trace.ops[5]).toMatchObject({ kind: 'elementwise', fn: 'scale', n: T * D });
    expect(trace.ops[6]).toMatchObject({ kind: 'softmax', rows: 800, cols: 200 });
    expect(flopsOf(trace.ops[3]!)).toBe(2 * T * D * D);
  });

  test('counts as parameters what single products multiply by', () => {
    expect(trace.parameters).toBe(4 * D * D);
    expect(trace.footprint_B.weights).toBe(2 * 4 * D * D);
  });

  test('says what is left out: what it does not know, and axes that ops have no form for', () => {
    expect(left_out).toEqual([
      ['aten::_softmax', 1],
      ['aten::fancy_scan', 1],
    ]);
  });

  test('is a trace that can be read again', () => {
    expect(readTrace(writeTrace(trace))).toEqual(trace);
  });
});

test('convolutions, gathers and reductions are told by their arguments', () => {
  const events = [
    ...call(
      'aten::cudnn_convolution',
      [
        [4, 3, 32, 32],
        [8, 3, 3, 3],
      ],
      ['', '', '[1, 1]', '[2, 2]', '[1, 1]', '1'],
    ),
    ...call(
      'aten::cudnn_convolution',
      [
        [4, 8, 32, 32],
        [8, 1, 3, 3],
      ],
      ['', '', '[1, 1]', '[1, 1]', '[1, 1]', '8'],
    ),
    ...call('aten::index_select', [[5000, 64], [], [7]]),
    ...call('aten::sum', [[10, 20], []], ['', '[-1]', 'False']),
    ...call('aten::sum', [[10, 20], []], ['', '[0]', 'False']),
    ...call('aten::mm', [
      [0, 4],
      [4, 4],
    ]),
  ];
  const { trace, left_out } = importProfile(profile(events), 'p.json', 'x');
  expect(trace.ops.map((op) => op.kind)).toEqual(['conv2d', 'gather', 'reduce']);
  expect(trace.ops[0]).toMatchObject({ kernel: 3, stride: 2, padding: 1, in_channels: 3, out_channels: 8 });
  expect(trace.ops[1]).toMatchObject({ rows: 7, cols: 64, table_rows: 5000 });
  expect(trace.ops[2]).toMatchObject({ op: 'sum', rows: 10, cols: 20 });
  expect(left_out.map(([name]) => name).sort()).toEqual(['aten::cudnn_convolution', 'aten::mm', 'aten::sum']);
});

test.each<[string, string, RegExp]>([
  ['no JSON', '{"traceEvents": [', /^p\.json/],
  ['no profile', '{"a": 1}', /expected a profile of PyTorch/],
  ['no operators', '{"traceEvents": []}', /no calls of operators/],
  ['no shapes', profile([{ cat: 'cpu_op', name: 'aten::mm', ts: 0, dur: 1 }]), /record_shapes=True/],
  ['nothing known', profile([{ cat: 'cpu_op', name: 'aten::fancy', ts: 0, dur: 1 }]), /none of its calls.*aten::fancy/],
  ['no time', profile([{ cat: 'cpu_op', name: 'aten::mm' }]), /traceEvents\[0\]: expected 'name', 'ts' and 'dur'/],
  [
    'dims that are none',
    profile([{ cat: 'cpu_op', name: 'aten::mm', ts: 0, dur: 1, args: { 'Input Dims': [[1.5, 2]] } }]),
    /traceEvents\[0\]: dims are \[1\.5, 2\]/,
  ],
])('%s is refused', (_, text, message) => {
  expect(() => importProfile(text, 'p.json', 'x')).toThrow(message);
});
