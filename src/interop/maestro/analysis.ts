/** Cycles and words of a layer: each level's cases of iteration, what each moves, and what its sub-clusters take. */
import { InputError } from '../../base/errors.js';
import { type Case, casesOf } from './cases.js';
import type { MaestroHardware } from './hardware.js';
import { type Counting, edgePlaces, type Level, type LevelsOfLayer, OPERANDS, type Operand } from './levels.js';
import type { MaestroLayer } from './network.js';
import { type Traffic, trafficOf } from './traffic.js';

export interface Spread {
  min: number;
  max: number;
  mean: number;
}

export interface OperandWords {
  l1_reads: number;
  l1_writes: number;
  l2_reads: number;
  l2_writes: number;
}

/** No iteration makes an output. */
export class NothingMade extends InputError {}

/** One run of a level. Words are those between it (L2) and its places (L1). */
export interface LevelRun {
  cycles: number;
  macs: number;
  /** Mean over its iterations. */
  active_pes: number;
  words: Record<Operand, OperandWords>;
  ingress: Spread;
  egress: Spread;
  compute: Spread;
  /** Both halves of the buffers above. */
  upper_words: { into: number; out: number };
  /** What the network would have to carry for the places not to wait. */
  peak_words_per_cycle: number;
  mean_words_per_cycle: number;
  iterations: number;
}

/**
 * @returns the run of the outermost level, and of the innermost the words a PE holds
 * @throws NothingMade
 */
export function analyse(
  { name, place }: Pick<MaestroLayer, 'name' | 'place'>,
  layer: LevelsOfLayer,
  hardware: MaestroHardware,
  counting: Counting,
): LevelRun & { pe_words: number } {
  const { levels } = layer;
  const known = new Map<string, LevelRun>();
  const top = run(0, levels[0]!.dims);
  if (top.iterations === 0) throw new NothingMade(`layer ${name}: no PE is given a whole window`, place);
  const innermost = trafficOf(layer, levels[levels.length - 1]!, counting);
  return { ...top, pe_words: 2 * OPERANDS.reduce((sum, o) => sum + innermost.held(o), 0) };

  function run(depth: number, dims: ReadonlyMap<string, number>): LevelRun {
    const key = `${depth}:${[...dims.values()].join()}`;
    const done = known.get(key);
    if (done) return done;
    const result = newRun();
    const level = levels[depth]!;
    // the tool keeps to the shares of the largest work a level is given
    const own = counting === 'corrected' ? { ...level, dims, ...edgeOf(level, dims) } : level;
    const traffic = trafficOf(layer, own, counting);
    for (const c of casesOf(level, dims)) iterate(result, depth, c, traffic);
    const iterations = result.iterations || 1;
    for (const spread of [result.ingress, result.egress, result.compute]) spread.mean /= iterations;
    result.active_pes /= iterations;
    result.mean_words_per_cycle /= iterations;
    known.set(key, result);
    return result;
  }

  function iterate(result: LevelRun, depth: number, c: Case, t: Traffic): void {
    const out = t.egress(c);
    const macs = t.macs(c);
    const critical = t.criticalMacs(c);
    if (counting === 'maestro' || critical > 0) {
      result.words.output.l2_writes += c.times * out;
      result.words.output.l1_writes += c.times * macs;
      result.words.output.l1_reads += c.times * macs;
    }
    // past the last window: no output is made
    if (critical <= 0) return;
    let into = 0;
    for (const operand of ['input', 'filter'] as const) {
      const words = t.ingress(operand, c);
      into += words;
      result.words[operand].l2_reads += c.times * words;
      result.words[operand].l1_writes += c.times * (counting === 'maestro' ? words : t.copies(operand, c));
      result.words[operand].l1_reads += c.times * macs;
    }
    if (result.iterations === 0) result.upper_words = { into: 2 * into, out: 2 * out };
    const { cycles, pes } = below(depth, c, critical, t);
    const compute = cycles || 1;
    const ingress = delay(into);
    const egress = delay(out);
    const first = c.states.every((s) => s.position === 'init');
    const inside = first ? ingress + cycles : Math.max(ingress, cycles, egress);
    const outside = depth === 0 ? offchip(result, into, out) : 0;
    result.cycles += c.times * Math.max(inside, outside);
    result.macs += c.times * macs;
    result.active_pes += c.times * pes;
    result.iterations += c.times;
    const most = Math.max(into, out);
    result.peak_words_per_cycle = Math.max(result.peak_words_per_cycle, whole(most / compute));
    result.mean_words_per_cycle += whole((c.times * most) / compute);
    note(result.ingress, ingress, c.times);
    note(result.egress, egress, c.times);
    note(result.compute, compute, c.times);
  }

  /** The slowest of the sub-clusters, which all work at once. */
  function below(depth: number, c: Case, critical: number, t: Traffic): { cycles: number; pes: number } {
    const active = t.activePlaces(c);
    if (depth === levels.length - 1) return { cycles: Math.ceil(critical / hardware.lanes), pes: active };
    const lead = c.states[levels[depth]!.directives.findIndex((d) => d.kind === 'spatial')]!;
    const ragged = lead.partial && lead.ragged;
    const runs = ragged ? [{ of: run(depth + 1, t.dimsBelow(c, true)), times: 1 }] : [];
    const whole = active - runs.length;
    if (whole > 0) runs.push({ of: run(depth + 1, t.dimsBelow(c, false)), times: whole });
    return {
      cycles: Math.max(...runs.map((r) => r.of.cycles)),
      pes: runs.reduce((sum, r) => sum + r.times * r.of.active_pes, 0) || active,
    };
  }

  /** The tool lets every iteration fetch what the first one does, and rounds down twice. */
  function offchip({ upper_words }: LevelRun, into: number, out: number): number {
    const width = hardware.offchip_words_per_cycle;
    if (counting === 'corrected') return Math.ceil(Math.max(into, out, 0) / width);
    return Math.floor(Math.floor(Math.max(upper_words.into, upper_words.out) / width) / 2);
  }

  /** The tool's figures per cycle are whole. */
  function whole(words_per_cycle: number): number {
    return counting === 'maestro' ? Math.floor(words_per_cycle) : words_per_cycle;
  }

  /** A word's way, and one more cycle for each further batch as wide as the network; the tool's 0 words take −1. */
  function delay(words: number): number {
    if (words <= 0 && counting === 'corrected') return 0;
    const batches = words === 0 ? 0 : Math.max(1, Math.ceil(words / hardware.noc_words_per_cycle));
    return hardware.noc_latency_cycles + batches - 1;
  }
}

const edgeOf = (level: Level, dims: ReadonlyMap<string, number>) => ({
  edge_places: edgePlaces(level.directives, dims, level.places),
});

function note(spread: Spread, value: number, times: number): void {
  spread.min = Math.min(spread.min, value);
  spread.max = Math.max(spread.max, value);
  spread.mean += times * value;
}

function newRun(): LevelRun {
  const words = (): OperandWords => ({ l1_reads: 0, l1_writes: 0, l2_reads: 0, l2_writes: 0 });
  const spread = (): Spread => ({ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, mean: 0 });
  return {
    cycles: 0,
    macs: 0,
    active_pes: 0,
    words: { input: words(), filter: words(), output: words() },
    ingress: spread(),
    egress: spread(),
    compute: spread(),
    upper_words: { into: 0, out: 0 },
    peak_words_per_cycle: 0,
    mean_words_per_cycle: 0,
    iterations: 0,
  };
}
