/** What `mapping.NAME.PARAM` and `--pin NAME…` speak of: a kind of op, a kernel or a family of kernels. */
import { kernelByName } from '../kernel/library/index.js';
import { OP_KINDS, type OpKind } from '../workload/op.js';

export interface PinTarget {
  /** Ops that are pinned. */
  readonly kind: OpKind;
  /** Kernel or family they are pinned to, when the name is of one. */
  readonly kernel?: string;
}

/** @throws InputError with the nearest name */
export function pinTarget(name: string): PinTarget {
  const kind = OP_KINDS.find((k) => k === name);
  return kind ? { kind } : { kind: kernelByName(name).op, kernel: name };
}
