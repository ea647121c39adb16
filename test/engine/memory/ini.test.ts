/** DRAMsim3 parameter files: what is read, what is refused and where. */
import { describe, expect, test } from 'vitest';
import { parseIni } from '../../../src/engine/memory/dram/ini.js';

const GOOD = `[dram_structure]
protocol = HBM
bankgroups = 4
banks_per_group = 4
rows = 16384
columns = 64
device_width = 128
BL = 4

[timing]
tCK = 2
CL = 7
CWL = 2
tRCDRD = 7 ; a note
tRCDWR = 6
tRP = 7
tRAS = 17
tRFC = 130
tREFI = 1950
tRTP_L = 3
tRTP_S = 2

[system]
channel_size = 512
channels = 8
bus_width = 128
address_mapping = rorabgbachco
`;

test('a file becomes a spec', () => {
  const { spec, warnings } = parseIni(GOOD, 'some/HBM1.ini');
  expect(spec.name).toBe('HBM1');
  expect(spec.organisation).toEqual({
    channels: 8,
    ranks: 1,
    bankgroups: 4,
    banks_per_group: 4,
    rows: 16384,
    bursts_per_row: 32,
    burst_B: 64,
  });
  expect(spec.timing).toMatchObject({ BL: 2, RL: 7, WL: 2, tRCDRD: 7, tRCDWR: 6, tRTP: 5, tRC: 24 });
  expect(warnings).toEqual([expect.stringContaining('HBM1.ini:20: DRAMsim3 ignores tRTP_L')]);
});

test('as written, read to precharge is the file’s', () => {
  const { spec, warnings } = parseIni(GOOD, 'x.ini', 'written');
  expect(spec.timing.tRTP).toBe(3);
  expect(spec.controller.dual_command).toBe('both');
  expect(warnings).toEqual([]);
});

test.each([
  ['protocol = HBM', 'protocol = HBN', /x\.ini:2: unknown protocol 'HBN'; did you mean 'HBM'\?/],
  ['tRP = 7', 'tRP = seven', /x\.ini:16: tRP: expected a number from 0, got 'seven'/],
  ['tRP = 7', 'tRP = 7.5', /x\.ini:16: tRP: expected a whole number/],
  ['tRP = 7', 'tRPP = 7', /x\.ini:16: unknown key of \[timing\] 'tRPP'; did you mean 'tRP'\?/],
  ['tRP = 7', 'tCK = 7', /x\.ini:16: 'tCK' stands here a second time \(line 11\)/],
  ['tRP = 7', 'tRP', /x\.ini:16: expected 'name = value'/],
  ['[timing]', '[timings]', /x\.ini:10: unknown section 'timings'; did you mean 'timing'\?/],
  ['tCK = 2\n', '', /x\.ini: 'tCK' is missing in \[timing\]/],
  ['tCK = 2', 'tCK = 0', /x\.ini:11: tCK: expected a positive time/],
  ['rorabgbachco', 'rorabgbacoco', /x\.ini:27: address mapping 'rorabgbacoco' is not the six fields/],
  ['bus_width = 128', 'bus_width = 100', /x\.ini:26: bus_width \(100\) is not a multiple of device_width/],
  ['rows = 16384', 'rows = 16000', /rows is 16000; addresses are split by bits/],
  ['tREFI = 1950', 'tREFI = 100', /tREFI \(100\) is not above tRFC/],
  ['[dram_structure]\n', '', /x\.ini:1: 'protocol' stands before the first \[section\]/],
  ['channels = 8', 'channels = 8\nrow_buf_policy = OPEN', /row_buf_policy: 'OPEN' is not one of the choices/],
  ['channels = 8', 'channels = 8\nqueue_structure = PER_RANK', /only PER_BANK is modelled/],
])('%s → %s is refused', (from, to, message) => {
  expect(GOOD).toContain(from);
  expect(() => parseIni(GOOD.replace(from, to), 'x.ini')).toThrow(message);
});

describe('bank groups', () => {
  test('disabled groups are one group with the short timings', () => {
    const text = GOOD.replace('[timing]', 'bankgroup_enable = false\n[timing]').replace(
      'tRP = 7',
      'tRP = 7\ntCCD_S = 1\ntCCD_L = 9\ntRRD_S = 2\ntRRD_L = 8',
    );
    const { spec } = parseIni(text, 'x.ini');
    expect(spec.organisation).toMatchObject({ bankgroups: 1, banks_per_group: 16 });
    expect(spec.timing).toMatchObject({ tCCD_L: 1, tRRD_L: 2 });
  });
});
