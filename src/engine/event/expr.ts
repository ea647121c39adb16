/** Integer expressions as functions of a workgroup's indices, which stand in one Int32Array from `base` on. */
import { type Expr, indicesOf, type LoopVar } from '../../kernel/ir.js';

export type IntFn = (env: Int32Array, base: number) => number;
/** Where each index of the program stands in a workgroup's part of the environment. */
export type Places = ReadonlyMap<LoopVar, number>;

/** c + Σ coefficient·index, or undefined when the expression is not of that form. */
export interface Affine {
  constant: number;
  readonly terms: Map<LoopVar, number>;
}

export function affineOf(e: Expr): Affine | undefined {
  if (typeof e === 'number') return { constant: e, terms: new Map() };
  if ('var' in e) return { constant: 0, terms: new Map([[e, 1]]) };
  if (!('op' in e)) return undefined;
  if (e.op !== '+' && e.op !== '-' && e.op !== '*') return undefined;
  const a = affineOf(e.a);
  const b = affineOf(e.b);
  if (!a || !b) return undefined;
  if (e.op === '*') {
    if (b.terms.size === 0) return scaled(a, b.constant);
    return a.terms.size === 0 ? scaled(b, a.constant) : undefined;
  }
  const sign = e.op === '+' ? 1 : -1;
  a.constant += sign * b.constant;
  for (const [v, c] of b.terms) a.terms.set(v, (a.terms.get(v) ?? 0) + sign * c);
  return a;
}

const scaled = (a: Affine, by: number): Affine => ({
  constant: a.constant * by,
  terms: new Map([...a.terms].map(([v, c]) => [v, c * by])),
});

/** @throws Error when the expression holds an index that is not in `places`: the program is malformed. */
export function compileExpr(e: Expr, places: Places): IntFn {
  indicesOf(e, (v) => {
    if (!places.has(v)) throw new Error(`unbound index ${v.var}`);
  });
  return compile(e, places);
}

function compile(e: Expr, places: Places): IntFn {
  const affine = affineOf(e);
  if (affine) {
    const c = affine.constant;
    const terms = [...affine.terms].filter(([, k]) => k !== 0);
    if (terms.length === 0) return () => c;
    const [p, k] = [places.get(terms[0]![0])!, terms[0]![1]];
    if (terms.length === 1) return (env, base) => c + k * env[base + p]!;
    const [q, l] = [places.get(terms[1]![0])!, terms[1]![1]];
    if (terms.length === 2) return (env, base) => c + k * env[base + p]! + l * env[base + q]!;
  }
  if (typeof e === 'number') return () => e;
  if ('var' in e) {
    const p = places.get(e)!;
    return (env, base) => env[base + p]!;
  }
  if (!('op' in e)) {
    const { name, values } = e.table;
    const at = compile(e.at, places);
    return (env, base) => {
      const v = values[at(env, base)];
      if (v === undefined) throw new Error(`table ${name} has no entry ${at(env, base)}`);
      return v;
    };
  }
  const a = compile(e.a, places);
  const b = compile(e.b, places);
  switch (e.op) {
    case '+':
      return (env, base) => a(env, base) + b(env, base);
    case '-':
      return (env, base) => a(env, base) - b(env, base);
    case '*':
      return (env, base) => a(env, base) * b(env, base);
    case '/':
      return (env, base) => Math.floor(a(env, base) / b(env, base));
    case '%':
      return (env, base) => {
        const n = b(env, base);
        const v = a(env, base);
        return v - n * Math.floor(v / n);
      };
    case 'min':
      return (env, base) => Math.min(a(env, base), b(env, base));
    case 'max':
      return (env, base) => Math.max(a(env, base), b(env, base));
  }
}
