/**
 * Speed of the event engine: events per second of processor time, and the time of large matrix products.
 *
 *   npx esbuild bench/event.ts --bundle --packages=external --platform=node --format=esm --outfile=dist/bench-event.js
 *   node dist/bench-event.js
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Bench } from 'tinybench';
import { runEvent } from '../src/engine/event/run.js';
import { COLD } from '../src/engine/types.js';
import { gemm } from '../src/kernel/library/gemm.js';
import { loadMachine } from '../src/machine/load.js';

export interface EventBenchRow {
  readonly name: string;
  readonly events: number;
  readonly median_s: number;
  readonly events_per_s: number;
}

const TILE = { bm: 128, bn: 256, bk: 64, stages: 4, groups_m: 2, groups_n: 1, panel: 1 };
const SMALL = { bm: 64, bn: 64, bk: 64, stages: 8, groups_m: 1, groups_n: 1, panel: 1 };
const CASES = [
  { name: 'gemm 4096³, 128×256 tiles', size: 4096, params: TILE },
  { name: 'gemm 4096³, 64×64 tiles', size: 4096, params: SMALL },
  { name: 'gemm 8192³, 128×256 tiles', size: 8192, params: TILE },
  { name: 'gemm 4096³, 128×256 tiles, power capped', size: 4096, params: TILE, capped: true },
] as const;

export async function eventBench(): Promise<EventBenchRow[]> {
  const file = 'arch/gpu/h100-sxm.json';
  const resolveExtends = (name: string) => {
    const path = join('arch/components', `${name}.json`);
    return { text: readFileSync(path, 'utf8'), file: path };
  };
  const { graph } = await loadMachine(readFileSync(file, 'utf8'), { file, resolveExtends });
  // Processor time of the whole process: what else the computer does is left out, compiling and collecting are not.
  const now = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e3;
  };
  const bench = new Bench({ now, time: 500, warmupTime: 200, warmupIterations: 1, iterations: 3 });
  const events = new Map<string, number>();
  for (const c of CASES) {
    const op = gemm.toOp({ m: c.size, n: c.size, k: c.size }, 'bf16');
    const context = 'capped' in c ? COLD : { ...COLD, clock_Hz: graph.control.clock.nominal_Hz };
    bench.add(c.name, () => {
      const [launch] = gemm.build(op, c.params, graph);
      events.set(c.name, runEvent(launch!, graph, context).events);
    });
  }
  await bench.run();
  return bench.tasks.map((task) => {
    const { result } = task;
    if (!('latency' in result)) throw new Error(`${task.name}: ${result.state}`);
    const median_s = result.latency.p50 / 1e3;
    const n = events.get(task.name)!;
    return { name: task.name, events: n, median_s, events_per_s: n / median_s };
  });
}

if (process.argv[1]?.includes('bench-event')) {
  for (const r of await eventBench())
    console.log(
      `${r.name}: ${(r.median_s * 1e3).toFixed(1)} ms, ${r.events} events, ${(r.events_per_s / 1e6).toFixed(2)} M/s`,
    );
}
