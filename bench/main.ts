/** All that `npm run bench` measures; see run.js. One process, one core, but for the sweep's workers and the commands. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMachine } from '../src/cli/files.js';
import { openTrace } from '../src/cli/workload.js';
import { simulate } from '../src/engine/simulate.js';
import { Mapper } from '../src/kernel/mapper.js';
import { cases, measure, quantile } from '../test/engine/agreement-cases.js';
import { shippedMachines } from '../test/kernel/machines.js';
import { eventBench } from './event.js';
import { memoryBench } from './memory.js';
import { nestBench } from './nest.js';
import { steadyBench } from './steady.js';

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What is aimed at; a figure is better when it is above (`least`) or below (`most`). */
  readonly least?: number;
  readonly most?: number;
}

const CLI = join('dist', 'cli', 'main.js');

export type Part = 'steady' | 'event' | 'memory' | 'nest' | 'mapping' | 'cli' | 'sweep' | 'agreement';

/** Parts to measure, each by itself; `tiles`: choices of each kernel and shape in the agreement set. */
export async function bench(parts: ReadonlySet<Part>, tiles: number): Promise<Figure[]> {
  const out: Figure[] = [];
  const { graph } = await openMachine('h100-sxm');
  if (parts.has('steady'))
    for (const r of steadyBench(graph))
      out.push({
        name: `steady, ${r.name}`,
        value: r.per_s,
        unit: 'evaluations/s',
        ...(r.name === 'all' && { least: 200e3 }),
      });
  if (parts.has('event'))
    for (const r of await eventBench())
      out.push({ name: `event, ${r.name}`, value: r.events_per_s, unit: 'events/s', least: 3e6 });
  if (parts.has('memory'))
    for (const r of await memoryBench())
      out.push({ name: `memory, ${r.name}`, value: r.requests_per_s, unit: 'requests/s', least: r.least });
  if (parts.has('nest'))
    for (const r of nestBench((await openMachine('eyeriss-like')).graph))
      out.push({ name: `search over nests, ${r.name}`, value: r.per_s, unit: 'nests/s', least: 100e3 });
  if (parts.has('mapping')) {
    const trace = await openTrace('llama-2-70b:decode,batch=1,context=2048');
    // the first also compiles; what a process pays for one step is both
    for (const name of ['first', 'warm code']) {
      const start = performance.now();
      simulate(trace, graph, { mapper: new Mapper() });
      out.push({
        name: `Llama-2-70B decode step, mapped from cold, ${name}`,
        value: performance.now() - start,
        unit: 'ms',
        most: 100,
      });
    }
  }
  if (parts.has('cli')) {
    out.push({ name: 'tilewright --help', value: wall(['--help'], 7), unit: 's', most: 0.15 });
    const simulation = ['simulate', '-m', 'h100-sxm', '-w', 'llama-2-7b:decode,batch=1,context=1024'];
    out.push({ name: 'tilewright simulate', value: wall(simulation, 5), unit: 's', most: 0.5 });
  }
  if (parts.has('sweep'))
    for (const jobs of [1, 2])
      out.push({
        name: `sweep on ${jobs} worker${jobs > 1 ? 's' : ''}, start included`,
        value: sweepPoints(jobs),
        unit: 'points/s',
      });
  if (parts.has('agreement')) {
    const pairs = [];
    for (const c of cases(await shippedMachines(), tiles)) pairs.push(measure(c));
    out.push({ name: 'agreement of steady with event, cases', value: pairs.length, unit: '', least: 500 });
    out.push({ name: 'agreement, median difference', value: quantile(pairs, 0.5) * 100, unit: '%', most: 3 });
    out.push({ name: 'agreement, 90th percentile', value: quantile(pairs, 0.9) * 100, unit: '%', most: 10 });
    const kernels = new Set(pairs.map((p) => p.case.kernel));
    for (const kernel of kernels) {
      const of = pairs.filter((p) => p.case.kernel === kernel);
      out.push({ name: `agreement, ${kernel}, median of ${of.length}`, value: quantile(of, 0.5) * 100, unit: '%' });
    }
  }
  return out;
}

/** Median wall time in s of a command, started `times` times. */
function wall(args: readonly string[], times: number): number {
  const taken: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    run(args);
    taken.push((performance.now() - start) / 1e3);
  }
  return taken.sort((a, b) => a - b)[times >> 1]!;
}

function sweepPoints(jobs: number): number {
  const folder = mkdtempSync(join(tmpdir(), 'tilewright-bench-'));
  try {
    const start = performance.now();
    const json = run([
      'sweep',
      'h100-neighbourhood',
      '--jobs',
      String(jobs),
      '--run',
      folder,
      '--fresh',
      '--json',
      '--quiet',
    ]);
    const seconds = (performance.now() - start) / 1e3;
    const { points } = JSON.parse(json) as { points: number | readonly unknown[] };
    return (typeof points === 'number' ? points : points.length) / seconds;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`tilewright ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}
