/**
 * A cascade evaluated element by element, each when it is asked for: the einsum that makes it, over all points of the
 * ranks that its result lacks. Slow and plain on purpose, and unaware of programs and tiles.
 */

import type { Access, Cascade, Coordinate, Einsum } from '../../src/kernel/einsum.js';
import { evalMap } from '../../src/kernel/interpret/map.js';
import type { Tensor } from '../../src/kernel/ir.js';
import { FLOPS, type MathFn } from '../../src/machine/graph.js';

type Env = Readonly<Record<string, number>>;
const coordinateOf = (c: Coordinate, env: Env): number =>
  (c.offset ?? 0) + c.terms.reduce((n, t) => n + t.stride * env[t.rank]!, 0);

export function evaluateCascade(
  cascade: Cascade,
  tensors: readonly Tensor[],
  inputs: Readonly<Record<string, Float64Array>>,
) {
  const memo = new Map<string, number>();
  const dims = new Map(tensors.map((t) => [t.name, t.dims]));

  const at = (a: Access, env: Env): number =>
    element(
      a.tensor,
      a.at.map((c) => coordinateOf(c, env)),
    );

  function element(name: string, index: readonly number[]): number {
    const own = dims.get(name);
    if (own && inputs[name] && tensors.find((t) => t.name === name)!.role === 'input') {
      let i = 0;
      for (let d = 0; d < own.length; d++) {
        if (index[d]! < 0 || index[d]! >= own[d]!) return 0;
        i = i * own[d]! + index[d]!;
      }
      return inputs[name]![i]!;
    }
    const key = `${name}[${index}]`;
    let value = memo.get(key);
    if (value === undefined) {
      value = compute(name, index);
      memo.set(key, value);
    }
    return value;
  }

  function compute(name: string, index: readonly number[]): number {
    for (const e of cascade.einsums) {
      if (e.out.tensor !== name) continue;
      const env = solve(e, index);
      if (env && isLeft(e, env)) return point(e, env);
      // blocks that are left out hand on what they were handed
      if (env) {
        const d = e.out.at.findIndex((c) => c.offset === 1);
        return element(
          name,
          index.map((x, i) => (i === d ? x - 1 : x)),
        );
      }
    }
    const start = cascade.tensors.find((t) => t.name === name)?.start;
    if (start === undefined) throw new Error(`no einsum makes ${name}[${index}]`);
    return start;
  }

  function isLeft(e: Einsum, env: Env): boolean {
    const { until } = cascade;
    if (!until || !e.ranks.includes(until.rank) || !e.ranks.includes(until.by)) return true;
    return env[until.rank]! < until.blocks[Math.floor(env[until.by]! / until.tile)]!;
  }

  /** Ranks of the result from its coordinates; undefined where the einsum does not make that element. */
  function solve(e: Einsum, index: readonly number[]): Env | undefined {
    const env: Record<string, number> = {};
    for (const [d, c] of e.out.at.entries()) {
      let rest = index[d]! - (c.offset ?? 0);
      for (const t of [...c.terms].sort((a, b) => b.stride - a.stride)) {
        const v = Math.floor(rest / t.stride);
        if (v < 0 || v >= cascade.ranks[t.rank]!) return undefined;
        if (env[t.rank] !== undefined && env[t.rank] !== v) return undefined;
        env[t.rank] = v;
        rest -= v * t.stride;
      }
      if (rest !== 0) return undefined;
    }
    return env;
  }

  function point(e: Einsum, env: Env): number {
    const inner = e.ranks.filter((r) => env[r] === undefined);
    let sum: number | undefined = e.init ? at(e.init, env) : undefined;
    const visit = (i: number, here: Env): void => {
      if (i < inner.length) {
        for (let v = 0; v < cascade.ranks[inner[i]!]!; v++) visit(i + 1, { ...here, [inner[i]!]: v });
        return;
      }
      const ins = e.ins.map((a) => at(a, here));
      const v = e.fn
        ? evalMap(
            e.fn,
            ins.map((x) => ({ rows: 1, cols: 1, values: Float64Array.of(x) })),
            (e.places ?? []).map((c) => coordinateOf(c, here)),
            1,
            1,
          )[0]!
        : ins.reduce((a, b) => a * b, 1);
      sum =
        sum === undefined ? v : e.reduce === 'max' ? Math.max(sum, v) : e.reduce === 'min' ? Math.min(sum, v) : sum + v;
    };
    visit(0, env);
    return sum!;
  }

  const outputs: Record<string, Float64Array> = {};
  for (const t of tensors) {
    if (t.role === 'input') continue;
    const out = new Float64Array(t.dims.reduce((a, b) => a * b, 1));
    const index = t.dims.map(() => 0);
    for (let i = 0; i < out.length; i++) {
      out[i] = element(t.name, index);
      for (let d = t.dims.length - 1; d >= 0 && ++index[d]! === t.dims[d]; d--) index[d] = 0;
    }
    outputs[t.name] = out;
  }
  return outputs;
}

/** Points of an einsum's iteration space that are left. */
export function pointsOf(e: Einsum, c: Cascade): number {
  const all = e.ranks.reduce((n, r) => n * c.ranks[r]!, 1);
  const { until } = c;
  if (!until || !e.ranks.includes(until.rank) || !e.ranks.includes(until.by)) return all;
  const left = until.blocks.reduce((a, b) => a + b, 0);
  return (all * left) / (until.blocks.length * c.ranks[until.rank]!);
}

/** Floating-point operations of a cascade. */
export const flopsOfCascade = (c: Cascade): number =>
  c.einsums.reduce(
    (sum, e) => sum + pointsOf(e, c) * Object.entries(e.work).reduce((n, [fn, k]) => n + FLOPS[fn as MathFn] * k, 0),
    0,
  );
