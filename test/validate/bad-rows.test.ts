/** Rows of measured tables that cannot be meant: refused by column and line, before anything is predicted. */
import { expect, test } from 'vitest';
import { readRows, readTable, reasonsOf } from '../../src/validate/predict.js';

const read = (text: string, device?: string) => {
  const table = readTable(text, 't.csv');
  return readRows<{ device?: string }>(table, table.kind.call ?? table.kind.served, device);
};
const GEMM = 'gemm_dtype,m,n,k,latency_ms\nbfloat16,64,64,64,0.01\n';
const PREFILL =
  'attn_dtype,kv_cache_dtype,batch_size,isl,num_heads,num_key_value_heads,head_dim,window_size,latency_ms\n';

test.each<[string, string, RegExp]>([
  ['a column missing', 'gemm_dtype,m,n,k\nbfloat16,64,64,64\n', /^t\.csv:1: .*'gemm' also needs latency_ms$/],
  ['a column misspelt', GEMM.replace('latency_ms', 'latncy_ms'), /^t\.csv:1: .*latency_ms \(is that 'latncy_ms'\?\)$/],
  [
    'a word for a number',
    `${GEMM}bfloat16,64,many,64,0.01\n`,
    /^t\.csv:3: column n is 'many', expected a whole number ≥ 1$/,
  ],
  ['a hexadecimal number', `${GEMM}bfloat16,64,0x40,64,0.01\n`, /^t\.csv:3: column n is '0x40'/],
  ['nothing for a number', `${GEMM}bfloat16,64,,64,0.01\n`, /^t\.csv:3: column n is empty/],
  ['a dimension of zero', `${GEMM}bfloat16,0,64,64,0.01\n`, /^t\.csv:3: column m is '0'/],
  ['a fraction of a row', `${GEMM}bfloat16,64,64,6.5,0.01\n`, /^t\.csv:3: column k is '6\.5'/],
  ['a dimension that no number holds', `${GEMM}bfloat16,64,64,1e300,0.01\n`, /^t\.csv:3: column k is '1e300'/],
  ['a time of zero', `${GEMM}bfloat16,64,64,64,0\n`, /^t\.csv:3: column latency_ms is '0', expected a number above 0$/],
  ['a time below zero', `${GEMM}bfloat16,64,64,64,-1\n`, /^t\.csv:3: column latency_ms is '-1'/],
  ['no time', `${GEMM}bfloat16,64,64,64,nan\n`, /^t\.csv:3: column latency_ms is 'nan'/],
  ['an endless time', `${GEMM}bfloat16,64,64,64,Infinity\n`, /^t\.csv:3: column latency_ms is 'Infinity'/],
  [
    'a slip in a format',
    `${GEMM}bfloat61,64,64,64,1\n`,
    /^t\.csv:3: unknown GEMM format 'bfloat61'; did you mean 'bfloat16'\?$/,
  ],
  ['a letter too few', `${GEMM}bfloa16,64,64,64,1\n`, /did you mean 'bfloat16'\?$/],
  [
    'heads that do not divide',
    `${PREFILL}bfloat16,bfloat16,1,64,6,4,128,0,1\n`,
    /^t\.csv:2: num_heads 6 is no multiple of num_key_value_heads 4$/,
  ],
  [
    'a slip in an op',
    'device,op,B,M,N,K,latency_ms\nt4,liner,1,8,8,8,1\n',
    /^t\.csv:2: unknown op 'liner'; did you mean 'linear'\?$/,
  ],
  [
    'half a launch',
    'device,op,B,H,latency_ms,kernel,grid_x\nt4,ln,8,8,1,k,1\n',
    /^t\.csv:2: there is no column grid_y/,
  ],
  [
    'another unit',
    'kernel,dim0,dim1,dim2,value,unit\ngelu,64,,,1,ms\n',
    /^t\.csv:2: column unit is 'ms', expected Gelem_per_s for gelu$/,
  ],
])('%s', (_, text, message) => {
  expect(() => read(text)).toThrow(message);
});

test('a format that the simulator does not know leaves its row out, with the reason', () => {
  const rows = read(`${GEMM}w4a8_mxfp4,64,64,64,0.01\nmxfp4,64,64,64,0.01\nfp4,64,64,64,0.01\n`);
  expect(rows.map((r) => 'skip' in r)).toEqual([false, true, true, true]);
  expect(reasonsOf(rows)).toMatch(/^1 row: unknown GEMM format 'w4a8_mxfp4' \(known: bfloat16, /);
});

test('rows of other devices are left out, and formats may be spelt as users do', () => {
  const rows = read('device,op,B,H,latency_ms\nt4,ln,8,8,1\nv100,ln,8,8,1\n', 'v100');
  expect(rows.map((r) => 'skip' in r)).toEqual([true, false]);
  expect(read(GEMM.replace('bfloat16', 'bf16')).every((r) => !('skip' in r))).toBe(true);
});
