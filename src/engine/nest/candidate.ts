/** One nest of a space as numbers, and what it costs. */
import type { EinsumNest, NestLevel, NestLoop } from '../../kernel/nest.js';
import type { NestSpace } from '../../kernel/nest-space.js';
import { NestCore } from './core.js';
import { NestCost } from './cost.js';
import { ACROSS_X, ACROSS_Y, Loops, TIME } from './loops.js';
import type { Problem } from './problem.js';

export class Candidate {
  /** Per slot and rank. */
  readonly factor: Int32Array;
  /** Per level and position, innermost first: the rank. */
  readonly order: Int32Array;
  readonly keep: Uint8Array;

  constructor(
    readonly slots: number,
    readonly ranks: number,
    levels: number,
    tensors: number,
  ) {
    this.factor = new Int32Array(slots * ranks).fill(1);
    this.order = new Int32Array(levels * ranks);
    this.keep = new Uint8Array(levels * tensors);
  }

  equals(other: Candidate): boolean {
    const same = (a: ArrayLike<number>, b: ArrayLike<number>) => {
      for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
      return true;
    };
    return same(this.factor, other.factor) && same(this.order, other.order) && same(this.keep, other.keep);
  }

  copy(from: Candidate): void {
    this.factor.set(from.factor);
    this.order.set(from.order);
    this.keep.set(from.keep);
  }
}

/** Works out candidates one after another in the same arrays. */
export class Evaluator {
  readonly core: NestCore;
  readonly cost: NestCost;
  readonly loops: Loops;
  /** Words (or bytes) that tiles exceed capacities by, of the last that did not fit, relative to the capacity. */
  excess = 0;
  evaluated = 0;
  private readonly first: Int32Array;

  constructor(
    readonly problem: Problem,
    readonly space: NestSpace,
  ) {
    const most = space.slots.length * problem.ranks.length;
    this.core = new NestCore(problem, most);
    this.cost = new NestCost(problem, this.core);
    this.loops = new Loops(problem.array.levels.length, problem.tensors.length, most);
    this.first = Int32Array.from(space.slots, (s) => (s.kind === 'time' ? TIME : s.kind === 'x' ? ACROSS_X : ACROSS_Y));
    for (const [l, level] of problem.array.levels.entries())
      for (const [k, t] of problem.tensors.entries()) {
        // the first store of the level that may hold such an operand
        const id = level.stores.find((s) => problem.stores.get(s)!.holds?.includes(t.of.role) ?? true);
        this.cost.where[l * problem.tensors.length + k] = this.cost.stores.findIndex(
          (s) => s.level === l && s.id === id,
        );
      }
  }

  /** Whether it fits; then `cost` holds its cycles and energy. */
  run(c: Candidate): boolean {
    this.build(c);
    const { core, cost, loops } = this;
    this.evaluated++;
    core.boxes(loops);
    const over = cost.overflow(loops);
    if (over >= 0) {
      this.excess = cost.used_B[over]! / cost.stores[over]!.capacity_B - 1;
      return false;
    }
    core.words(loops);
    cost.run(loops);
    return true;
  }

  private build(c: Candidate): void {
    const { loops, space, first } = this;
    const R = c.ranks;
    loops.n = 0;
    for (let s = 0; s < c.slots; s++) {
      const { level } = space.slots[s]!;
      const kind = first[s]!;
      if (kind !== TIME) continue;
      const at = s * R;
      for (let p = R - 1; p >= 0; p--) {
        const r = c.order[level * R + p]!;
        const size = c.factor[at + r]!;
        if (size > 1) loops.push(r, size, level, TIME);
      }
      // of the loops over places those along x lie inside
      for (let x = s + 2; x > s; x--) {
        if (x >= c.slots || space.slots[x]!.level !== level) continue;
        const across = space.across[level]!;
        for (let p = R - 1; p >= 0; p--) {
          const r = across[p]!;
          const size = c.factor[x * R + r]!;
          if (size > 1) loops.push(r, size, level, first[x]!);
        }
      }
    }
    loops.keep.set(c.keep);
  }

  nest(c: Candidate): EinsumNest {
    this.build(c);
    const { loops, problem, cost } = this;
    const K = problem.tensors.length;
    return {
      einsum: problem.einsum.name,
      unit: problem.unit.id,
      levels: problem.array.levels.map((level, l): NestLevel => {
        const own: NestLoop[] = [];
        for (let i = 0; i < loops.n; i++)
          if (loops.level[i] === l)
            own.push({
              rank: problem.ranks[loops.rank[i]!]!,
              size: loops.size[i]!,
              ...(loops.kind[i] !== TIME && { spatial: loops.kind[i] === ACROSS_X ? ('x' as const) : ('y' as const) }),
            });
        return {
          level: level.id,
          loops: own,
          keeps: Object.fromEntries(
            problem.tensors.flatMap((t, k) =>
              c.keep[l * K + k] ? [[t.name, cost.stores[cost.where[l * K + k]!]!.id]] : [],
            ),
          ),
        };
      }),
    };
  }
}
