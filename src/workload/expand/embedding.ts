/**
 * Into the stream and out of it: token, position and segment tables, the lm head, pooler and classifier. The token table
 * and the lm head are split by rows of the vocabulary: each device looks up its own rows and the sums are exchanged;
 * each computes its own logits and all are gathered.
 */
import { collective, type Expansion, linear, type Pass, quantised } from './context.js';

/** Tokens of the pass as rows of the stream. `name` is before each op; positions only where they are a table. */
export function embedTokens(x: Expansion, pass: Pass, name: string): string {
  const { model, shard } = x;
  const repeat = pass.steps.length;
  const gather = (label: string, table_rows: number, deps: string[] = []) =>
    x.emit(pass, {
      kind: 'gather',
      name: `${name}.${label}`,
      repeat,
      deps,
      rows: pass.rows,
      cols: model.hidden,
      table_rows,
      dtype: x.dtypes.stream,
    });
  const add = (label: string, a: string, b: string) =>
    x.emit(pass, {
      kind: 'elementwise',
      name: `${name}.${label}`,
      repeat,
      deps: [a, b],
      fn: 'add',
      n: pass.rows * model.hidden,
      dtype: x.dtypes.stream,
    });
  const tokens = gather('tokens', shard.vocab, pass.after ? [pass.after] : []);
  let stream = collective(
    x,
    pass,
    { name: `${name}.all_reduce`, repeat, deps: [tokens] },
    'all_reduce',
    pass.rows * model.hidden,
  );
  if (model.positions.kind === 'learned')
    stream = add('add_positions', stream, gather('positions', model.positions.max! + (model.positions.offset ?? 0)));
  if (model.segments) stream = add('add_segments', stream, gather('segments', model.segments));
  return stream;
}

/**
 * Relative position biases of one stack, shared by its layers: a row of the bucket table per relative position. One op
 * for each step of the pass, since the positions grow with the keys.
 */
export function relativeBias(x: Expansion, pass: Pass, name: string): string[] | undefined {
  if (x.model.positions.kind !== 'relative') return undefined;
  return pass.steps.map((groups) => {
    const kv_len = Math.max(...groups.map((g) => g.kv_len));
    return x.emit(pass, {
      kind: 'gather',
      name: `${name}.relative_bias${pass.steps.length > 1 ? `@${kv_len}` : ''}`,
      repeat: 1,
      deps: [],
      rows: Math.max(...groups.map((g) => g.q_len + g.kv_len - 1)),
      cols: x.shard.heads,
      table_rows: x.model.positions.buckets!,
      dtype: x.dtypes.stream,
    });
  });
}

/** Logits over the vocabulary of `pass.logits` rows; `input` is the normed stream of all rows. */
export function lmHead(x: Expansion, pass: Pass, input: string): string {
  const { model, shard } = x;
  const repeat = pass.steps.length;
  const rows = chosenRows(x, pass, 'head', input, pass.logits);
  const narrow = quantised(x, pass, { name: 'head', repeat, deps: [rows] }, pass.logits * model.hidden);
  const logits = linear(x, pass, {
    name: 'head.logits',
    repeat,
    deps: [narrow],
    rows: pass.logits,
    k: model.hidden,
    n: shard.vocab,
    weights: x.dtypes.head,
  });
  return collective(
    x,
    pass,
    { name: 'head.all_gather', repeat, deps: [logits] },
    'all_gather',
    pass.logits * shard.vocab * shard.tp,
  );
}

/** BERT's pooler (a product and tanh) or a classifier, on the first row of each sequence. Kept whole on each device. */
export function sequenceHead(x: Expansion, pass: Pass, input: string): string {
  const { model } = x;
  if (model.head === 'none') return input;
  const rows = chosenRows(x, pass, 'head', input, pass.sequences);
  const narrow = quantised(x, pass, { name: 'head', repeat: 1, deps: [rows] }, pass.sequences * model.hidden);
  return linear(x, pass, {
    name: `head.${model.head}`,
    repeat: 1,
    deps: [narrow],
    rows: pass.sequences,
    k: model.hidden,
    n: model.head === 'classifier' ? model.classes! : model.hidden,
    bias: true,
    activation: model.head === 'pooler' ? 'tanh' : 'none',
  });
}

/** `count` of the pass's rows: the last (or first) of each sequence. */
function chosenRows(x: Expansion, pass: Pass, name: string, input: string, count: number): string {
  if (count === pass.rows) return input;
  return x.emit(pass, {
    kind: 'gather',
    name: `${name}.rows`,
    repeat: pass.steps.length,
    deps: [input],
    rows: count,
    cols: x.model.hidden,
    table_rows: pass.rows,
    dtype: x.dtypes.stream,
  });
}
