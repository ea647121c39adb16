/**
 * Sparse counts from dense ones (Sparseloop, Wu et al., MICRO 2022): formats leave out what is empty, gated and skipped
 * actions save fetches and all that would have followed from them, nearer levels and arithmetic included.
 *
 *   dense words ─formats─► words that exist ─actions, far to near─► actual, gated, skipped ─► computes
 *
 * Counts are whole: what is left out is rounded down, so that what remains is never too little.
 */
import { unknownName } from '../../../base/errors.js';
import type { Sparsity } from '../../../kernel/sparsity.js';
import type { NestCore } from '../core.js';
import { blockWords, type NestCost } from '../cost.js';
import type { Loops } from '../loops.js';
import { savingOf } from './actions.js';
import { Occupancy } from './density.js';
import { type Units, unitsOf } from './formats.js';
import { type Representation, representations } from './ranks.js';

export interface Split {
  actual: number;
  gated: number;
  skipped: number;
}

/** Metadata of one rank: coordinates and pointers moved. */
export interface FormatCounts {
  readonly rank: number;
  readonly format: string;
  reads: { metadata: Split; payload: Split };
  fills: { metadata: number; payload: number };
  updates: { metadata: Split; payload: Split };
}

/** One tensor at one level. */
export interface SparseCounts {
  readonly representation: Representation;
  /** Words that the largest tile takes as it is kept. */
  readonly stored: number;
  readonly stored_bits: number;
  /** Units of the largest tile's metadata, innermost rank first. */
  readonly units: readonly Units[];
  /** Share of the tile's elements that are not zero. */
  readonly density: number;
  readonly reads: Split;
  readonly fills: Split;
  readonly updates: Split;
  reductions: number;
  readonly formats: FormatCounts[];
  compressions: number;
  expansions: number;
}

export interface SparseAnalysis {
  /** By level and tensor, as the core's arrays. */
  readonly at: ReadonlyMap<number, SparseCounts>;
  readonly computes: Split;
  readonly occupancies: readonly Occupancy[];
}

const split = (actual: number): Split => ({ actual, gated: 0, skipped: 0 });
const round6 = (x: number): number => Math.round(x * 1e6) / 1e6;

export function analyseSparse(loops: Loops, core: NestCore, cost: NestCost, spec: Sparsity): SparseAnalysis {
  const { problem, K } = core;
  const names = problem.tensors.map((t) => t.name);
  const levels = problem.array.levels.map((l) => l.id);
  const indexOf = (list: readonly string[], what: string, name: string): number => {
    const i = list.indexOf(name);
    if (i < 0) throw unknownName(what, name, list, 'sparsity');
    return i;
  };
  for (const f of spec.formats) {
    indexOf(levels, 'level', f.level);
    indexOf(names, 'tensor', f.tensor);
  }
  const occupancies = problem.tensors.map((t, k) => new Occupancy(t.of.density, core.tile[k]!));
  const at = new Map<number, SparseCounts>();
  problem.tensors.forEach((t, k) => {
    const specOf = (l: number) => spec.formats.find((f) => f.tensor === t.name && f.level === levels[l]);
    for (const r of representations(loops, core, k, specOf, t.name))
      at.set(r.level * K + k, countsOf(r, core, cost, k, occupancies[k]!));
  });
  const computes = new Actions(loops, core, cost, spec, occupancies, at).apply();
  // what comes from compressed tiles is expanded where it is kept whole, results are compressed on their way out
  for (const [index, c] of at) {
    const k = index % K;
    let parent = c.representation.level - 1;
    while (parent >= 0 && !loops.keep[parent * K + k]) parent--;
    const outer = parent >= 0 ? at.get(parent * K + k) : undefined;
    if (c.representation.compressed || !outer?.representation.compressed) continue;
    if (problem.tensors[k]!.result) c.compressions = outer.updates.actual;
    c.expansions = c.fills.actual;
  }
  return { at, computes, occupancies };
}

/** What formats alone leave of the dense counts. */
function countsOf(r: Representation, core: NestCore, cost: NestCost, k: number, occupancy: Occupancy): SparseCounts {
  const at = r.level * core.K + k;
  const { result } = core.problem.tensors[k]!;
  const { tile } = r;
  const [low, high] = occupancy.range(tile);
  let mean = 0;
  const expected: Units[] = r.ranks.map(() => ({ metadata: 0, payload: 0 }));
  for (let n = low; n <= high; n++) {
    const p = occupancy.probability(tile, n);
    if (p === 0) continue;
    mean += p * n;
    if (r.metadata)
      unitsOf(r.ranks, tile, occupancy, { size: tile, count: n }).forEach((u, i) => {
        expected[i]!.metadata += p * u.metadata;
        expected[i]!.payload += p * u.payload;
      });
  }
  const density = mean / tile;
  const [reads, fills, updates] = [core.reads[at]!, core.fills[at]!, core.updates[at]!];
  const exists = (n: number) => (r.metadata ? n - Math.floor(n * (1 - density)) : n);
  const formats = (r.metadata ? expected : []).map((u, rank): FormatCounts => {
    const moved = (words: number) => ({
      metadata: Math.ceil(u.metadata * (words / tile)),
      payload: Math.ceil(u.payload * (words / tile)),
    });
    const [rd, up] = [moved(reads), moved(updates)];
    return {
      rank,
      format: r.ranks[rank]!.format,
      reads: { metadata: split(rd.metadata), payload: split(rd.payload) },
      fills: moved(fills),
      updates: { metadata: split(up.metadata), payload: split(up.payload) },
    };
  });
  const most = occupancy.most(r.top);
  const units = r.metadata ? unitsOf(r.ranks, r.top, occupancy, { size: r.top, count: most }) : [];
  const bits = metadataBits(r, cost, at);
  return {
    representation: r,
    stored: r.compressed ? occupancy.most(tile) : tile,
    stored_bits: Math.ceil(
      units.reduce((n, u, i) => n + u.metadata * bits[i]!.metadata + u.payload * bits[i]!.payload, 0),
    ),
    units,
    density,
    reads: split(exists(reads)),
    fills: split(exists(fills)),
    updates: split(result ? exists(updates) : updates),
    reductions: result ? reads : 0,
    formats,
    compressions: 0,
    expansions: 0,
  };
}

/** Bits of a coordinate and of a pointer by rank: as the format says, else as the store's metadata words are. */
export function metadataBits(r: Representation, cost: NestCost, at: number): { metadata: number; payload: number }[] {
  const store = cost.problem.stores.get(cost.stores[cost.where[at]!]!.id)!;
  const word = store.metadata?.word_bits ?? 0;
  return r.ranks.map((rank, i) => ({
    metadata: r.bits[i]?.metadata ?? (rank.format === 'B' ? 1 : word),
    payload: r.bits[i]?.payload ?? word,
  }));
}

interface Applied {
  readonly kind: 'gated' | 'skipped';
  readonly probability: number;
}

/** Gating and skipping of all levels. */
class Actions {
  /** By level and tensor. */
  private readonly applied = new Map<number, Applied>();

  constructor(
    private readonly loops: Loops,
    private readonly core: NestCore,
    private readonly cost: NestCost,
    private readonly spec: Sparsity,
    private readonly occupancies: readonly Occupancy[],
    private readonly at: ReadonlyMap<number, SparseCounts>,
  ) {}

  apply(): Split {
    // gating first, as Sparseloop does: of two on one tile the more effective stays
    for (const kind of ['gating', 'skipping'] as const)
      for (const action of this.spec.actions) if (action.kind === kind) this.choose(action);
    const { core, loops } = this;
    const { K, problem } = core;
    let { computes } = core;
    const empty = new Map<number, number>();
    problem.tensors.forEach((t, k) => {
      const levels = problem.array.levels.map((_, l) => l).filter((l) => loops.keep[l * K + k]);
      let outside = 0;
      for (const l of levels) {
        const saving = this.applied.get(l * K + k);
        const c = this.at.get(l * K + k)!;
        if (outside > 0) chop(c, outside, levels.length > 1 && c.formats.length === 1);
        if (saving) {
          const own = outside > 0 ? 1 - (1 - saving.probability) / (1 - outside) : saving.probability;
          save(c, saving.kind, own, t.result ? core.updates[l * K + k]! : 0, this.sentRanks(l, k));
          outside = saving.probability;
        } else if (c.updates.actual + c.updates.gated + c.updates.skipped > 0)
          c.reductions = Math.ceil(c.reductions * (c.updates.actual / core.updates[l * K + k]!));
      }
      const nearest = [...levels].reverse().find((l) => this.applied.has(l * K + k));
      if (nearest !== undefined && !t.result) {
        const p = this.applied.get(nearest * K + k)!.probability;
        computes -= Math.floor(computes * p);
        empty.set(k, round6(p));
      }
    });
    return this.arithmetic(computes, empty);
  }

  private choose({ level, kind, options }: Sparsity['actions'][number]): void {
    const { core, cost, loops, occupancies } = this;
    const { K, problem } = core;
    const l = problem.array.levels.findIndex((x) => x.id === level);
    if (l < 0)
      throw unknownName(
        'level',
        level,
        problem.array.levels.map((x) => x.id),
        'sparse actions',
      );
    const names = problem.tensors.map((t) => t.name);
    const tensor = (name: string) => {
      const k = names.indexOf(name);
      if (k < 0) throw unknownName('tensor', name, names, 'sparse actions');
      return k;
    };
    const block = (at: number, k: number) => {
      const store = cost.stores[cost.where[at * K + k]!]!;
      return blockWords(store, problem.tensors[k]!.element_B);
    };
    let best: ReturnType<typeof savingOf> | undefined;
    let most = -1;
    for (const { target, on } of options) {
      const k = tensor(target);
      const saving = savingOf(loops, core, l, k, on.map(tensor), occupancies, block);
      const store = cost.stores[cost.where[saving.level * K + k]!]!;
      const c = this.at.get(saving.level * K + k)!;
      const worth = (store.read_pJ / block(saving.level, k)) * c.density * c.representation.tile * saving.probability;
      if (worth >= most) {
        most = worth;
        best = saving;
      }
    }
    const key = best!.level * K + best!.tensor;
    const before = this.applied.get(key);
    if (!before || before.probability < best!.probability)
      this.applied.set(key, { kind: kind === 'gating' ? 'gated' : 'skipped', probability: best!.probability });
  }

  /** Ranks of metadata that go along with data from a level: those that the next level keeps, all to the arithmetic. */
  private sentRanks(l: number, k: number): number {
    const { child } = this.at.get(l * this.core.K + k)!.representation;
    const inner = this.at.get(child * this.core.K + k);
    if (child === this.core.L || !inner) return this.at.get(l * this.core.K + k)!.formats.length;
    return inner.formats.length;
  }

  /** Computes whose operands exist, are zero, or are not there. */
  private arithmetic(total: number, empty: ReadonlyMap<number, number>): Split {
    const { core, loops, at, occupancies, spec } = this;
    const { K, L, problem } = core;
    const operands = problem.tensors.map((_, k) => k).filter((k) => !problem.tensors[k]!.result);
    if (operands.length !== 2) return split(total);
    const share = operands.map((k) => occupancies[k]!.share);
    const metadata = operands.map((k) => {
      for (let l = L - 1; l >= 0; l--) if (loops.keep[l * K + k]) return at.get(l * K + k)!.representation.metadata;
      return false;
    });
    // an operand fetched only where the other is not empty makes the other's elements less often zero
    const full = operands.map((_, i) => {
      const other = empty.get(operands[1 - i]!);
      const d = round6(share[i]!);
      return other === undefined ? d : Math.min(1, Math.max(0, share[i]! / (1 - other)));
    });
    const state = operands.map((_, i) => ({
      full: full[i]!,
      zero: metadata[i] ? 0 : 1 - full[i]!,
      none: metadata[i] ? 1 - full[i]! : 0,
    }));
    const [a, b] = [state[0]!, state[1]!];
    const { gate_zero, skip_unaligned } = spec.compute;
    let gated = 0;
    let skipped = 0;
    const zeros = total * (a.full * b.zero + a.zero * b.full) + total * a.zero * b.zero;
    const unaligned = total * (a.full * b.none + a.none * b.full) + total * (a.zero * b.none + a.none * b.zero);
    if (gate_zero) gated += zeros;
    if (skip_unaligned) skipped += unaligned;
    else if (gate_zero) gated += unaligned;
    const nothing = total * a.none * b.none;
    return {
      gated: Math.floor(gated),
      skipped: Math.floor(skipped),
      actual: total - Math.floor(skipped) - Math.floor(gated) - Math.floor(nothing),
    };
  }
}

/** What a level outside saves never arrives here. */
function chop(c: SparseCounts, p: number, metadata: boolean): void {
  for (const s of [c.reads, c.fills, c.updates]) s.actual -= Math.floor(s.actual * p);
  if (!metadata) return;
  const f = c.formats[0]!;
  for (const s of [f.reads.metadata, f.reads.payload]) s.actual -= Math.floor(s.actual * p);
  f.fills.metadata -= Math.floor(f.fills.metadata * p);
  f.fills.payload -= Math.floor(f.fills.payload * p);
}

/** `results`: dense updates of a result, 0 of an operand. */
function save(c: SparseCounts, kind: 'gated' | 'skipped', p: number, results: number, ranks: number): void {
  const move = (s: Split, n: number) => {
    s[kind] += n;
    s.actual -= n;
  };
  // a result's read is one less than its updates: rounded up, so that they stay apart
  move(c.reads, results > 0 ? Math.ceil(c.reads.actual * p) : Math.floor(c.reads.actual * p));
  move(c.updates, Math.floor(c.updates.actual * p));
  for (const f of c.formats.slice(0, ranks))
    for (const s of [f.reads.metadata, f.reads.payload, f.updates.metadata, f.updates.payload])
      move(s, Math.floor(s.actual * p));
  if (results > 0) c.reductions = Math.ceil((c.reductions * c.updates.actual) / results);
}
