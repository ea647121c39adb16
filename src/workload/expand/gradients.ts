/**
 * Reverse accumulation over the ops of a forward pass: each kind of op says which ops its backward pass is (and in
 * `kept.ts` what they read of the forward pass). Gradients that meet, as of a stream and of the block beside it, are
 * added. Where an op runs for each layer, so do the ops of its backward pass.
 *
 * A linear layer Y = X·W + b: dX = dY·Wᵀ, dW = Xᵀ·dY, db = Σ rows of dY. Products do not say which operand lies
 * transposed. A norm: one pass that reads x and dy and writes dx, and one that reads both again and sums over rows, as
 * frameworks run it; the statistics of a row are computed again. Sums over rows are `reduce` ops of as many bytes.
 */
import { bytesOf } from '../../base/dtype.js';
import { compulsoryBytesOf, type ElementwiseFn, type Op, type OpKind, type OpOf } from '../op.js';
import { allReduce, type Expansion, type NewOp, type Pass } from './context.js';
import { slopeOf } from './kept.js';

interface Given {
  readonly ids: readonly string[];
  /** Of some rows or columns of the result: others give the rest, and nothing is added. */
  readonly part: boolean;
  readonly repeat: number;
}

export class Gradients {
  readonly #of = new Map<string, Given[]>();
  /** Ops that give gradients of parameters. */
  readonly parameters: string[] = [];
  /** Products whose partial results were summed over devices. */
  readonly summed: ReadonlySet<string>;

  constructor(
    readonly x: Expansion,
    readonly pass: Pass,
    forward: readonly Op[],
    /** The op that a kept tensor is read from: the forward one, or the one that computes it again. */
    readonly saved: (id: string) => string,
  ) {
    this.summed = new Set(
      forward.flatMap((op) => (op.kind === 'collective' && op.collective === 'all_reduce' ? op.deps.slice(0, 1) : [])),
    );
  }

  /** The backward pass of one op; those of the ops that read it came before. @throws Error for a kind that has none */
  of(op: Op): void {
    const rule = RULES[op.kind] as Rule<OpKind> | undefined;
    if (!rule) throw new Error(`no backward pass of ${op.kind}`);
    rule(this, op, this.#gradient(op));
  }

  emit(op: NewOp): string {
    return this.x.emit(this.pass, op);
  }

  /** `ids` hold a gradient of the result of `to`. */
  send(to: string | undefined, ids: readonly string[], repeat: number, part = false): void {
    if (to === undefined) return;
    this.#of.set(to, [...(this.#of.get(to) ?? []), { ids, part, repeat }]);
  }

  map(op: Op, label: string, fn: ElementwiseFn, n: number, deps: string[]): string {
    const { stream: dtype } = this.x.dtypes;
    return this.emit({ kind: 'elementwise', name: `${op.name}.${label}`, repeat: op.repeat, deps, fn, n, dtype });
  }

  /** Sums over the rows of a tensor of `cols` columns: a parameter's gradient. */
  sumRows(name: string, repeat: number, deps: string[], cols: number, rows: number): void {
    const { stream: dtype } = this.x.dtypes;
    this.parameters.push(this.emit({ kind: 'reduce', name, repeat, deps, rows: cols, cols: rows, op: 'sum', dtype }));
  }

  /** The ops that together hold the gradient of an op's result, after the sums that this takes. */
  #gradient(op: Op): string[] {
    const given = this.#of.get(op.id) ?? [];
    const parts = given.filter((g) => g.part).flatMap((g) => g.ids);
    const [first, ...others] = given.filter((g) => !g.part);
    const { stream: dtype } = this.x.dtypes;
    let sum = first?.ids ?? [];
    for (const [i, other] of others.entries())
      sum = [
        this.emit({
          kind: 'elementwise',
          name: `${op.name}.gradient${i > 0 ? `.${i + 1}` : ''}`,
          repeat: Math.max(...given.map((g) => g.repeat)),
          deps: [...sum, ...other.ids],
          fn: 'add',
          n: compulsoryBytesOf(op).write_B / bytesOf(dtype),
          dtype,
        }),
      ];
    return [...new Set([...sum, ...parts])];
  }
}

type Rule<K extends OpKind> = (on: Gradients, op: OpOf<K>, g: string[]) => void;

/** The backward pass of each kind of op that a forward pass here has. */
const RULES: { readonly [K in OpKind]?: Rule<K> } = {
  matmul: (on, op, g) => (op.weights ? linear(on, op, g) : product(on, op, g)),
  normalise(on, op, g) {
    const read = [...g, on.saved(op.deps[0]!)];
    on.send(op.deps[0], [on.map(op, 'input_gradient', 'mul', op.rows * op.cols, read)], op.repeat);
    // Σ dy∘x̂ and Σ dy
    on.sumRows(`${op.name}.weight_gradient`, op.repeat, read, 2 * op.cols, op.rows);
  },
  attention(on, op, g) {
    const { name, repeat, batch, heads, kv_heads, q_len, kv_len, head_dim, causal, window, q: dtype } = op;
    const deps = [...new Set([...g, ...op.deps.map(on.saved), on.saved(op.id)])];
    const shape = { batch, heads, kv_heads, q_len, kv_len, head_dim, causal, window, dtype };
    const id = on.emit({ kind: 'attention_backward', name: `${name}.backward`, repeat, deps, ...shape });
    on.send(op.deps[0], [id], repeat, true);
  },
  softmax(on, op, g) {
    // dS = P∘(dP − rowsum(P∘dP))
    const id = on.map(op, 'input_gradient', 'mul', op.rows * op.cols, [...g, on.saved(op.id)]);
    on.send(op.deps[0], [id], op.repeat);
  },
  elementwise(on, op, g) {
    const { n, repeat, fn, deps } = op;
    const first = deps[0]!;
    const slope = slopeOf(fn);
    if (slope) on.send(first, [on.map(op, 'input_gradient', slope, n, [on.saved(first), ...g])], repeat);
    else if (fn === 'swiglu' || fn === 'geglu') {
      const read = on.saved(first);
      const up = on.map(op, 'up_gradient', fn, n, [read, ...g]);
      const activated = on.map(op, 'activated_gradient', 'mul', n, [...g, read]);
      const backward = fn === 'swiglu' ? 'silu_backward' : 'gelu_backward';
      on.send(first, [up, on.map(op, 'gate_gradient', backward, n, [read, activated])], repeat, true);
    } else if (fn === 'mul') {
      const second = deps[1]!;
      on.send(first, [on.map(op, 'left_gradient', 'mul', n, [...g, on.saved(second)])], repeat);
      on.send(second, [on.map(op, 'right_gradient', 'mul', n, [...g, on.saved(first)])], repeat, true);
    } else for (const dep of deps) on.send(dep, g, repeat);
  },
  rotary(on, op, g) {
    const { id: _, phase: __, ...rest } = op;
    on.send(op.deps[0], [on.emit({ ...rest, name: `${op.name}.input_gradient`, deps: g })], op.repeat, true);
  },
  // each device has a part of the sum, and the gradient of the sum is that of every part
  collective: (on, op, g) => on.send(op.deps[0], g, op.repeat),
  /** Rows of a table: gradients of tokens alike are added, under uniform draws N·(1 − (1 − 1/N)^T) rows of N. */
  gather(on, op, g) {
    const { rows, cols, table_rows: all, dtype, repeat } = op;
    const touched = op.name.endsWith('.positions') ? rows / on.pass.sequences : all * (1 - (1 - 1 / all) ** rows);
    const fan_in = Math.min(rows, Math.max(1, Math.round(rows / touched)));
    const name = `${op.name}.weight_gradient`;
    on.parameters.push(on.emit({ kind: 'scatter', name, repeat, deps: g, rows, cols, fan_in, dtype }));
  },
  /** Of cross entropy: softmax(logits) less 1 at the token that came, one pass over the logits. */
  reduce(on, { name, deps: [logits], id, rows, cols, dtype, repeat }) {
    const deps = [on.saved(logits!), id];
    const softmax = on.emit({ kind: 'softmax', name: `${name}.input_gradient`, repeat, deps, rows, cols, dtype });
    on.send(logits, [softmax], repeat);
  },
};

function linear(on: Gradients, op: OpOf<'matmul'>, g: string[]): void {
  const { name, repeat, m, n, k } = op;
  const operands = op.residual ? op.deps.slice(0, -1) : op.deps;
  const { id: _, phase: __, ...rest } = { ...op, c: on.x.dtypes.stream, bias: false, residual: false };
  const input = on.emit({ ...rest, name: `${name}.input_gradient`, deps: g, n: k, k: n });
  // columns are split over devices, unless the sums were exchanged forward
  const site = { name: `${name}.input_gradient.all_reduce`, repeat, deps: [input] };
  const whole = on.summed.has(op.id) ? input : allReduce(on.x, on.pass, site, m);
  for (const operand of operands) on.send(operand, [whole], repeat, operands.length > 1);
  if (op.residual) on.send(op.deps.at(-1), g, repeat);
  const read = [...g, ...operands.map(on.saved)];
  on.parameters.push(
    on.emit({ ...rest, name: `${name}.weight_gradient`, deps: read, m: k, k: m, b: op.a, weights: false }),
  );
  if (op.bias) on.sumRows(`${name}.bias_gradient`, repeat, g, n, m);
}

/** C = A·B without parameters: dA = dC·Bᵀ, dB = Aᵀ·dC. One op before it: both operands are parts of its result. */
function product(on: Gradients, op: OpOf<'matmul'>, g: string[]): void {
  const { id: _, phase: __, ...rest } = op;
  const [a, b] = op.deps as [string, string?];
  const right = b ?? a;
  const left = on.emit({ ...rest, name: `${op.name}.left_gradient`, deps: [...g, on.saved(right)], n: op.k, k: op.n });
  const other = on.emit({ ...rest, name: `${op.name}.right_gradient`, deps: [...g, on.saved(a)], m: op.k, k: op.m });
  on.send(a, [left], op.repeat, b === undefined);
  on.send(right, [other], op.repeat, true);
}
