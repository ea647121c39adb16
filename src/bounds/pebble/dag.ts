/** Small computations as explicit graphs: a vertex per value, in topological order, inputs first. */

export interface Dag {
  readonly name: string;
  readonly labels: readonly string[];
  /** Values that each vertex is computed from; none for inputs. */
  readonly preds: readonly (readonly number[])[];
  readonly outputs: readonly number[];
}

class Builder {
  readonly labels: string[] = [];
  readonly preds: number[][] = [];
  add(label: string, preds: readonly (number | undefined)[] = []): number {
    this.labels.push(label);
    this.preds.push(preds.filter((p) => p !== undefined));
    return this.labels.length - 1;
  }
  grid(name: string, rows: number, cols: number): number[][] {
    return range(rows).map((r) => range(cols).map((c) => this.add(`${name}${r}${c}`)));
  }
  dag(name: string, outputs: readonly number[]): Dag {
    return { name, labels: this.labels, preds: this.preds, outputs };
  }
}
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** C = A·B, each result a chain of k multiply–adds. */
export function matmulDag(m: number, n: number, k: number): Dag {
  const b = new Builder();
  const A = b.grid('a', m, k);
  const B = b.grid('b', k, n);
  const out: number[] = [];
  for (const i of range(m))
    for (const j of range(n)) {
      let sum: number | undefined;
      for (const t of range(k)) sum = b.add(`c${i}${j}${k > 1 ? `.${t}` : ''}`, [A[i]![t]!, B[t]![j]!, sum]);
      out.push(sum!);
    }
  return b.dag(`matmul ${m}×${n}×${k}`, out);
}

/** One head: weights e^(q·k), their sums, the weighted sums of V, and the quotients. */
export function attentionDag(n: number, d: number): Dag {
  const b = new Builder();
  const Q = b.grid('q', n, d);
  const K = b.grid('k', n, d);
  const V = b.grid('v', n, d);
  const out: number[] = [];
  for (const i of range(n)) {
    let l: number | undefined;
    const u: (number | undefined)[] = range(d).map(() => undefined);
    for (const j of range(n)) {
      let p: number | undefined;
      // the last multiply–add and the exponential are one vertex
      for (const t of range(d))
        p = b.add(`${t === d - 1 ? 'p' : 's'}${i}${j}${t === d - 1 ? '' : `.${t}`}`, [Q[i]![t]!, K[j]![t]!, p]);
      l = b.add(`l${i}.${j}`, [p, l]);
      for (const t of range(d)) u[t] = b.add(`u${i}${t}.${j}`, [p, V[j]![t]!, u[t]]);
    }
    for (const t of range(d)) out.push(b.add(`o${i}${t}`, [u[t], l]));
  }
  return b.dag(`attention n=${n}, d=${d}`, out);
}

/** The radix-2 butterfly of n points, n a power of two. */
export function fftDag(n: number): Dag {
  const b = new Builder();
  let row = range(n).map((i) => b.add(`x${i}`));
  for (let half = 1, level = 1; half < n; half *= 2, level++) {
    const below = row;
    row = range(n).map((i) => b.add(`y${level}.${i}`, [below[i]!, below[i ^ half]!]));
  }
  return b.dag(`fft ${n}`, row);
}

/** Three-point stencil over a line of `width` points, `steps` times; ends have two neighbours. */
export function stencilDag(width: number, steps: number): Dag {
  const b = new Builder();
  let row = range(width).map((i) => b.add(`x${i}`));
  for (const t of range(steps)) {
    const below = row;
    row = range(width).map((i) => b.add(`y${t + 1}.${i}`, [below[i - 1], below[i], below[i + 1]]));
  }
  return b.dag(`stencil ${width}, ${steps} steps`, row);
}

/** Sum of n values as a chain. */
export function reductionDag(n: number): Dag {
  const b = new Builder();
  const x = range(n).map((i) => b.add(`x${i}`));
  let sum: number | undefined;
  for (const i of range(n)) sum = b.add(`s${i}`, [x[i]!, sum]);
  return b.dag(`reduction ${n}`, [sum!]);
}

export const isInput = (dag: Dag, v: number): boolean => dag.preds[v]!.length === 0;
/** Most near values that any vertex needs to be computed: its operands, one of which may make way for it. */
export const leastNear = (dag: Dag): number => Math.max(1, ...dag.preds.map((p) => p.length));
