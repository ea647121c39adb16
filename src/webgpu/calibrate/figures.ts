/** Times of probes → figures of the machine: seconds of a core for what one group of lanes does. */
import { CHAIN, countOf, operationsOf, ROUNDS, roundsOf, VALUES } from './arithmetic.js';
import { countsOf, MANY, WORK } from './dispatch.js';
import { BARE_TURNS, FEW, MANY_ACCESSES, ONCE, onceLanes, TURNS, WAYS, WIDTHS } from './in-order.js';
import { atLeast, type Times } from './measure.js';
import { ACCESSES as MEMORY_ACCESSES } from './memory.js';
import { ACCESSES, BARRIERS } from './near.js';
import { laneCounts, type Setup } from './setup.js';

/**
 * Keys: `clock` (s of a cycle), `math NAME`, `latency vector|special`, `near load 1|4|same`, `near store 1|4`,
 * `near latency`, `in loop WAY 1|4`, `once load|store 1|4`, `turn`, `place`, `load 1|4`, `store 1|4`, `atomic own|same`: s of an access of a group; `barrier`, `start` and their
 * part per group; `dispatch`, `submission`; `cores`; `serial`: share of arithmetic or loads, whichever is
 * less, that adds to the other's time.
 */
export function figuresOf(setup: Setup, t: Times): Record<string, number> {
  const { group, cpu, info } = setup;
  const cores = coresOf(setup, t);
  /** A core's seconds for a group's iteration. */
  const cost = (id: string): number => {
    const { workgroups, lanes } = t.probe(id);
    const busy = workgroups > 1 ? Math.min(cores, workgroups) : 1;
    return (t.iteration(id) * busy) / (workgroups * Math.max(1, lanes / group));
  };
  /** Of a chain: groups take turns on a CPU and wait side by side on a GPU. */
  const chain = (name: string): number => {
    const [short, long] = CHAIN;
    const per = (n: number) =>
      t.iteration(`chain ${name} ${n}`) / (cpu ? t.probe(`chain ${name} ${n}`).lanes / group : 1);
    return atLeast((per(long) - per(short)) / (long - short));
  };

  const operations = operationsOf(info);
  /** Bodies of the same values and other rounds differ by operations alone. */
  const math = (name: string): number => {
    const op = operations[name]!;
    const [few, many] = roundsOf(op);
    const long = cost(`math ${name} many`);
    const besides = op.besides ? math(op.besides[0]) * op.besides[1] : 0;
    const each = (long - cost(`math ${name} few`)) / ((many - few) * VALUES) - besides;
    return atLeast(each, long / (many * VALUES)) / countOf(op);
  };
  const add = math('add');
  const loop = Math.max(0, cost('math add few') - VALUES * ROUNDS.plain[0] * add);
  /** An iteration without its loop and so many additions. */
  const body = (id: string, adds: number) => atLeast(cost(id) - loop - adds * add, cost(id));
  const out: Record<string, number> = {
    clock: chain('clock') / 2,
    cores,
    'latency vector': chain('vector'),
    'latency special': chain('special'),
  };
  for (const name of Object.keys(operations)) out[`math ${name}`] = math(name);
  out['near load 1'] = body('near load 1', ACCESSES) / ACCESSES;
  out['near load 4'] = body('near load 4', 4 * ACCESSES) / ACCESSES;
  out['near load same'] = body('near load same', 4 * ACCESSES) / ACCESSES;
  out['near store 1'] = body('near store 1', 1) / ACCESSES;
  out['near store 4'] = body('near store 4', 4) / ACCESSES;
  out['near latency'] = t.iteration('near chase') / ACCESSES;
  const loads = cost('near load 4') - loop;
  const sums = cost('beside nothing') - loop;
  const both = cost('beside loads') - loop;
  out['serial'] = Math.min(1, Math.max(0.01, (both - Math.max(loads, sums)) / Math.min(loads, sums)));
  out['load 1'] = body('load 1', MEMORY_ACCESSES) / MEMORY_ACCESSES;
  out['load 4'] = body('load 4', 4 * MEMORY_ACCESSES) / MEMORY_ACCESSES;
  out['store 1'] = body('store 1', 0) / MEMORY_ACCESSES;
  out['store 4'] = body('store 4', 0) / MEMORY_ACCESSES;
  for (const where of ['own', 'same']) out[`atomic ${where}`] = body(`atomic ${where}`, 0) / MEMORY_ACCESSES;

  const counts = laneCounts(setup);
  const groups = counts.map((n) => n / group);
  const barrier = line(
    groups,
    counts.map((n, i) => (t.iteration(`barrier ${n}`) - (cpu ? groups[i]! : 1) * (loop + 2 * add)) / BARRIERS),
  );
  out['barrier'] = barrier.at0;
  out['barrier group'] = barrier.slope;
  if (cpu) Object.assign(out, inOrder(t, onceLanes(setup) / group, cost, out['barrier group']!));
  const dispatch = t.run('dispatch');
  // so short a dispatch may not reach all cores: as many as work of known size then has
  const idle = t.run('workgroups of 64');
  const working = t.run(`workgroups working`) - idle;
  const alone = t.iteration('occupancy 1') * WORK;
  const used = cpu ? Math.min(cores, Math.max(1, (MANY * alone) / atLeast(working))) : Math.min(cores, MANY);
  const started = (id: string) => (Math.max(0, t.run(id) - dispatch) / (MANY - 1)) * used;
  const start = line(
    groups,
    counts.map((n) => started(`workgroups of ${n}`)),
  );
  out['start'] = start.at0;
  // on a CPU each group moves a word meanwhile
  out['start group'] = cpu
    ? atLeast(start.slope - out['once load 1']! - out['once store 1']!, start.slope)
    : start.slope;
  out['dispatch'] = dispatch;
  out['submission'] = Math.max(dispatch, t.run('submission'));
  return out;
}

/** Accesses in loops with barriers and in code that runs once; turns of loops, and entering them. */
function inOrder(t: Times, onceGroups: number, cost: (id: string) => number, barrier: number): Record<string, number> {
  const out: Record<string, number> = {};
  const [few, many] = BARE_TURNS;
  const bare = cost(`turns ${many}`);
  const turn = atLeast((bare - cost(`turns ${few}`)) / (many - few), bare / many);
  out['turn'] = turn;
  const more = MANY_ACCESSES - FEW;
  for (const width of WIDTHS) {
    for (const way of WAYS) {
      const long = cost(`in loop ${way} ${width} many`);
      const each = (long - cost(`in loop ${way} ${width} few`)) / (more * TURNS);
      out[`in loop ${way} ${width}`] = atLeast(each, long / (MANY_ACCESSES * TURNS));
    }
    for (const way of ['load', 'store']) {
      const id = (n: number): string => `once ${way} ${width} ${n}`;
      const [least, most] = ONCE;
      const long = t.work(id(most));
      out[`once ${way} ${width}`] =
        atLeast((t.run(id(most)) - t.run(id(least))) / (most - least), long / most) / onceGroups;
    }
  }
  const places = WIDTHS.map(
    (width) =>
      cost(`in loop near load ${width} few`) - barrier - TURNS * (turn + FEW * out[`in loop near load ${width}`]!),
  );
  const mean = (x: readonly number[]): number => Math.max(0, x.reduce((a, b) => a + b, 0) / x.length);
  out['place'] = mean(places);
  return out;
}

/** Speed-up of many workgroups over one. */
export function coresOf(setup: Setup, t: Times): number {
  const launch = t.fastest('dispatch');
  const work = (id: string) => atLeast(t.fastest(id) - launch, t.fastest(id));
  const one = work('occupancy 1');
  let most = 1;
  for (const n of countsOf(setup)) {
    const id = `occupancy ${n}`;
    if (t.has(id)) most = Math.max(most, (n * one) / work(id));
  }
  return Math.max(1, Math.round(most));
}

/** Least squares through (x, y), relative to y, neither part below 0. */
export function line(x: readonly number[], y: readonly number[]): { at0: number; slope: number } {
  if (x.length === 1) return { at0: 0, slope: Math.max(0, y[0]! / x[0]!) };
  let [w, wx, wy, wxx, wxy] = [0, 0, 0, 0, 0];
  x.forEach((xi, i) => {
    const yi = y[i]!;
    const weight = 1 / Math.max(yi, 1e-12) ** 2;
    w += weight;
    wx += weight * xi;
    wy += weight * yi;
    wxx += weight * xi * xi;
    wxy += weight * xi * yi;
  });
  const slope = (w * wxy - wx * wy) / (w * wxx - wx * wx);
  const at0 = (wy - slope * wx) / w;
  if (slope < 0) return { at0: Math.max(0, wy / w), slope: 0 };
  if (at0 < 0) return { at0: 0, slope: Math.max(0, wxy / wxx) };
  return { at0, slope };
}
