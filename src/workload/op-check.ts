/** What the op schemas cannot say: dimensions that must agree with each other. */
import { compulsoryBytesOf, convDepth, convOut, flopsOf, type Op } from './op.js';

/** What is wrong with an op of the right form; undefined when nothing is. */
export function opFault(op: Op): string | undefined {
  const fault = faultOfKind(op);
  if (fault) return fault;
  const { read_B, write_B } = compulsoryBytesOf(op);
  if (![flopsOf(op), read_B, write_B].every((x) => Number.isFinite(x * op.repeat) && x >= 0))
    return 'its dimensions are so large that its work is not a finite number';
  return undefined;
}

function faultOfKind(op: Op): string | undefined {
  switch (op.kind) {
    case 'attention': {
      if (op.heads % op.kv_heads !== 0) return `kv_heads: ${op.kv_heads} does not divide heads ${op.heads}`;
      if (op.kv_lens && op.kv_lens.length !== op.batch)
        return `kv_lens: ${op.kv_lens.length} lengths for a batch of ${op.batch}`;
      if (op.kv_lens && Math.max(...op.kv_lens) !== op.kv_len)
        return `kv_len: ${op.kv_len} is not the longest of kv_lens (${Math.max(...op.kv_lens)})`;
      const shortest = op.kv_lens ? Math.min(...op.kv_lens) : op.kv_len;
      if (op.causal && op.q_len > shortest)
        return `q_len: ${op.q_len} queries, but a sequence has ${shortest} keys; causal queries are the last of them`;
      return undefined;
    }
    case 'attention_backward':
      return op.heads % op.kv_heads === 0 ? undefined : `kv_heads: ${op.kv_heads} does not divide heads ${op.heads}`;
    case 'grouped_matmul': {
      if (op.groups > op.rows) return `groups: ${op.groups} groups cannot each have one of ${op.rows} rows`;
      const rows = op.rows_by_group;
      if (rows && rows.length !== op.groups) return `rows_by_group: ${rows.length} entries for ${op.groups} groups`;
      const sum = rows?.reduce((a, b) => a + b, 0) ?? op.rows;
      return sum === op.rows ? undefined : `rows_by_group: sums to ${sum}, not to rows ${op.rows}`;
    }
    case 'topk':
      return op.k > op.cols ? `k: ${op.k} of ${op.cols} columns` : undefined;
    case 'conv2d':
    case 'conv3d': {
      const { kernel, size, padding, out } = convDepth(op);
      if (out < 1) return `kernel_depth: ${kernel} is larger than the padded depth ${size + 2 * padding}`;
      return Math.min(...convOut(op)) < 1
        ? `kernel: ${op.kernel} is larger than the padded input ${op.height + 2 * op.padding} × ${op.width + 2 * op.padding}`
        : undefined;
    }
    case 'fft':
      if (op.n < 2 || !Number.isInteger(Math.log2(op.n))) return `n: ${op.n} is no power of two (≥ 2)`;
      return /int/.test(op.dtype)
        ? `dtype: ${op.dtype} holds no roots of unity; floating point is expected`
        : undefined;
    case 'rotary':
      return op.head_dim % 2 === 0 ? undefined : `head_dim: rotation needs pairs, ${op.head_dim} is odd`;
    default:
      return undefined;
  }
}
