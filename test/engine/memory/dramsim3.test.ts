/**
 * Against what DRAMsim3 printed for the same traces and parameters. Read as it reads its files, the model agrees command
 * for command; what remains is one read: its trace reader offers the last line a second time at the end of the file,
 * and counts that read when the queue has room for it in that very cycle.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { csvParse } from 'd3-dsv';
import { describe, expect, test } from 'vitest';
import { dramEnergy, totalEnergy_J } from '../../../src/engine/memory/dram/energy.js';
import { type IniReading, parseIni } from '../../../src/engine/memory/dram/ini.js';
import { Replay } from '../../../src/engine/memory/replay.js';
import { TraceReader } from '../../../src/engine/memory/trace/reader.js';
import { GOLDEN, HAS_GOLDEN } from './support.js';

const golden = HAS_GOLDEN ? csvParse(readFileSync(join(GOLDEN, 'results.csv'), 'utf8')) : [];
const traces = new Map<string, Uint8Array>();

function trace(name: string): Uint8Array {
  const known = traces.get(name) ?? gunzipSync(readFileSync(join(GOLDEN, `${name}.trace.gz`)));
  traces.set(name, known);
  return known;
}

function replayed(row: Readonly<Record<string, string>>, reading: IniReading) {
  const file = join(GOLDEN, `${row['config']}.ini`);
  const { spec } = parseIni(readFileSync(file, 'utf8'), file, reading);
  const cycles = Number(row['cycles']);
  const replay = new Replay({ dram: spec, per_cycle: 1, cycles });
  const reader = new TraceReader({ file: row['trace']! }, (a, w, c) => replay.request(a, w, c));
  reader.push(trace(row['trace']!));
  reader.end();
  replay.finish();
  const counts = replay.dram.counts();
  const energy = dramEnergy(spec, counts, replay.dram.openCycles(cycles), cycles);
  return { replay, counts, energy, tCK_s: spec.tCK_s };
}

const number = (row: Readonly<Record<string, string>>, key: string): number => Number(row[key]);
const ratio = (ours: number, theirs: number): number => (theirs === 0 ? ours : Math.abs(ours / theirs - 1));

describe.skipIf(!HAS_GOLDEN)('DRAMsim3 (skipped without its results)', () => {
  test.each(golden.map((row) => ({ row, name: `${row['trace']} on ${row['config']}` })))('$name', ({ row }) => {
    const { replay, counts, energy, tCK_s } = replayed(row, 'dramsim3');
    expect(Math.abs(counts.activates - number(row, 'num_act_cmds'))).toBeLessThanOrEqual(1);
    expect(Math.abs(counts.precharges - number(row, 'num_pre_cmds'))).toBeLessThanOrEqual(1);
    expect(counts.refreshes).toBe(number(row, 'num_ref_cmds'));
    expect(counts.read_row_hits).toBe(number(row, 'num_read_row_hits'));
    expect(counts.write_row_hits).toBe(number(row, 'num_write_row_hits'));
    expect(Math.abs(counts.reads - number(row, 'num_read_cmds'))).toBeLessThanOrEqual(1);
    expect(counts.writes).toBe(number(row, 'num_write_cmds'));
    expect(Math.abs(replay.reads_done - number(row, 'num_reads_done'))).toBeLessThanOrEqual(1);
    expect(replay.writes_done).toBe(number(row, 'num_writes_done'));
    expect(ratio(replay.latency.mean, number(row, 'avg_read_latency_cycles'))).toBeLessThan(2e-4);
    // it multiplies currents by cycles and calls that pJ; with cycles of tCK it is ours
    const cycles_ns = tCK_s * 1e9;
    expect(ratio((totalEnergy_J(energy) * 1e12) / cycles_ns, number(row, 'total_energy'))).toBeLessThan(2e-4);
    expect(ratio((energy.activate_J * 1e12) / cycles_ns, number(row, 'act_energy'))).toBeLessThan(2e-4);
  });

  test('read as its files are written, latencies stay within 10 % and activates within 2 %', () => {
    const worst = { latency: 0, activates: 0, done: 0 };
    for (const row of golden) {
      const { replay, counts } = replayed(row, 'written');
      worst.latency = Math.max(worst.latency, ratio(replay.latency.mean, number(row, 'avg_read_latency_cycles')));
      worst.activates = Math.max(worst.activates, ratio(counts.activates, number(row, 'num_act_cmds')));
      const done = replay.reads_done + replay.writes_done;
      worst.done = Math.max(worst.done, ratio(done, number(row, 'num_reads_done') + number(row, 'num_writes_done')));
    }
    expect(worst.latency).toBeLessThan(0.1);
    expect(worst.activates).toBeLessThan(0.02);
    expect(worst.done).toBeLessThan(0.03);
    // tRTP_L differs from the default it takes: the readings are not the same
    expect(worst.latency).toBeGreaterThan(0.01);
  });
});
