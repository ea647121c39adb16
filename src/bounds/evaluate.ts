/** One computation at one capacity: the bound, what the library's schedules ask for, and what would save most. */
import { bytesOf, type DType } from '../base/dtype.js';
import { InputError, positive, unknownName } from '../base/errors.js';
import type { Params } from '../kernel/kernel.js';
import { type AnyKernel, kernelNames, kernelsNamed } from '../kernel/library/index.js';
import { parseShape } from '../kernel/shape.js';
import type { Op } from '../workload/op.js';
import { type Advice, adviceOf } from './advice.js';
import { termsOf } from './least-io.js';
import { OTHERS, type Other, otherByName } from './others.js';
import { boundInValues, dagOf, pebblingOf } from './pebble/pebbling.js';
import { type Bounds, sizeMatters } from './result.js';
import { ownSchedule, type Schedule, scheduleOf, schedulesOf, searchFree } from './schedules.js';
import { strongest, type Term } from './term.js';

export interface Asked {
  /** A kernel, a family of kernels, or one of `OTHERS`. */
  readonly name: string;
  readonly shape: string;
  readonly dtype: DType;
  readonly capacity_B: number;
  /** The user's own tile, of the kernel that is named. */
  readonly tile?: Params;
  /** The kernel that `name` stands for, when it is the user's own. */
  readonly own?: AnyKernel;
  /** Also the curve over capacities around this one. */
  readonly curve?: boolean;
  /** Also the pebble game. */
  readonly pebble?: boolean;
}

interface Subject {
  readonly kernels: readonly AnyKernel[];
  readonly op: Op | undefined;
  readonly other: Other | undefined;
  readonly shape: Readonly<Record<string, number>>;
}

/** @throws InputError for an unknown name (with the nearest), shape or tile */
export function boundsFor(asked: Asked): Bounds {
  const subject = subjectOf(asked);
  const { capacity_B, dtype } = asked;
  const terms = termsAt(subject, dtype, capacity_B);
  const best = strongest(terms);
  const bound_B = positive(best.bytes, `bound of ${asked.name}`);
  const schedules = schedulesAt(subject, asked, capacity_B);
  const advice = adviceOf(schedules, bound_B);
  return {
    kernel: asked.name,
    shape: { ...subject.shape },
    dtype,
    capacity_B,
    bound_B,
    compulsory_B: terms[0].bytes,
    formula: best.formula,
    range: best.range,
    source: best.source,
    terms: terms.map(({ bytes, ...rest }) => ({ bound_B: bytes, ...rest })),
    schedules: schedules.map((s) => ({ ...s, tile: { ...s.tile }, ratio: s.requested_B / bound_B })),
    advice: adviceText(advice, bound_B, schedules),
    ...(asked.curve ? { curve: curveOf(subject, asked) } : {}),
    ...(asked.pebble ? { pebbling: pebbleFor(subject, asked) } : {}),
  };
}

/** The bound alone. @throws InputError as `boundsFor` */
export function leastOf(asked: Asked): { readonly bound_B: number; readonly formula: string } {
  const { bytes, formula } = strongest(termsAt(subjectOf(asked), asked.dtype, asked.capacity_B));
  return { bound_B: positive(bytes, `bound of ${asked.name}`), formula };
}

function subjectOf({ name, shape: text, dtype, tile, own }: Asked): Subject {
  if (own) {
    const shape = parseShape(text, own.shape, `${name} --shape`);
    return { kernels: [own], op: own.toOp(shape, dtype), other: undefined, shape };
  }
  const other = otherByName(name);
  const place = `${name} --shape`;
  if (other) {
    if (tile) throw new InputError('there is no kernel whose tile could be set', name);
    const given = parseShape(text, other.shape, place);
    const defaults = Object.entries(other.shape).flatMap(([key, d]) =>
      d.default === undefined ? [] : [[key, d.default]],
    );
    return { kernels: [], op: undefined, other, shape: { ...Object.fromEntries(defaults), ...given } };
  }
  if (!kernelNames().includes(name)) throw unknownName('kernel', name, [...kernelNames(), ...Object.keys(OTHERS)]);
  const kernels = kernelsNamed(name);
  const shape = parseShape(text, kernels[0]!.shape, place);
  return { kernels, op: kernels[0]!.toOp(shape, dtype), other: undefined, shape };
}

function termsAt({ op, other, shape }: Subject, dtype: DType, capacity_B: number): [Term, ...Term[]] {
  return op ? termsOf(op, capacity_B) : other!.terms(shape, dtype, capacity_B);
}

function schedulesAt(
  { op, other, shape, kernels }: Subject,
  asked: Asked,
  capacity_B: number,
  listed = true,
): Schedule[] {
  if (!op) {
    const { schedule } = other!;
    if (schedule) {
      const custom = schedule.kernel.toOp(shape, asked.dtype);
      const space = { pairs: [schedule.axes(shape)], fixed: [{}] };
      const free = searchFree(schedule.kernel, custom, space, capacity_B);
      return free ? [free] : [];
    }
    const known = other!.reached?.(shape, asked.dtype, capacity_B);
    return known ? [{ ...known, tile: {}, sizes: 'free', live_B: capacity_B }] : [];
  }
  const found = schedulesOf(op, capacity_B, listed ? 'listed' : 'only if not free');
  const mine = asked.own && ownSchedule(asked.own, op, capacity_B);
  if (mine) {
    found.push(mine);
    found.sort((a, b) => a.requested_B - b.requested_B);
  }
  if (asked.tile) {
    const kernel = kernels[0]!;
    const unknown = Object.keys(asked.tile).find((key) => !kernel.params[key]);
    if (unknown) throw unknownName(`parameter of ${kernel.name}`, unknown, Object.keys(kernel.params), '--tile');
    const defaults = Object.fromEntries(Object.entries(kernel.params).map(([key, p]) => [key, p.default]));
    const own = scheduleOf(kernel, op, { ...defaults, ...asked.tile });
    if (own.live_B > capacity_B)
      throw new InputError(`this tile holds ${own.live_B} bytes, the capacity is ${capacity_B}`, '--tile');
    found.push(own);
    found.sort((a, b) => a.requested_B - b.requested_B);
  }
  return found;
}

/** Bytes, to three digits, for sentences. */
function bytesText(bytes: number): string {
  const unit = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;
  let value = bytes;
  while (value >= 1000 && i < unit.length - 1) {
    value /= 1000;
    i++;
  }
  return `${Number(value.toPrecision(3))} ${unit[i]}`;
}

/** Sizes that change what moves; `than`: of two tiles of one kernel, those in which they differ. */
const tileText = ({ tile }: Schedule, than?: Schedule): string =>
  Object.entries(tile)
    .filter(
      ([key, value]) =>
        sizeMatters(key) && (than ? than.tile[key] !== undefined && than.tile[key] !== value : value !== 0),
    )
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');

function adviceText(advice: Advice | undefined, bound_B: number, schedules: readonly Schedule[]): string {
  if (schedules.length === 0) return 'No schedule of this is known that fits.';
  const rest = (left_B: number): string =>
    left_B < 0.05 * bound_B
      ? 'Nothing moves much less.'
      : `No schedule saves more than the ${bytesText(left_B)} that still separate it from the bound.`;
  if (!advice) {
    const [only] = schedules as readonly [Schedule];
    return `${only.kernel} moves least of what is known. ${rest(only.requested_B - bound_B)}`;
  }
  const { change, from, to, saves_B, left_B } = advice;
  if (change === 'none')
    return `${from.kernel} at ${tileText(from)} moves least of what the library has. ${rest(left_B)}`;
  const what =
    change === 'tile'
      ? `a tile of ${tileText(to, from)} instead of ${tileText(from, to)} in ${from.kernel}`
      : `${to.kernel} (${tileText(to)}) instead of ${from.kernel} (${tileText(from)})`;
  return `What would save most: ${what}: ${bytesText(saves_B)}, ${((100 * saves_B) / from.requested_B).toFixed(0)} %. ${rest(left_B)}`;
}

/** Capacities by powers of two, 64 times less to 64 times more. */
function curveOf(subject: Subject, asked: Asked): NonNullable<Bounds['curve']> {
  const points: NonNullable<Bounds['curve']> = [];
  for (let e = -6; e <= 6; e++) {
    const capacity_B = asked.capacity_B * 2 ** e;
    const requested_B: Record<string, number> = {};
    for (const s of schedulesAt(subject, { ...asked, tile: undefined }, capacity_B, false))
      if (s.sizes === 'free' || !(s.kernel in requested_B))
        requested_B[s.kernel] = Math.min(s.requested_B, requested_B[s.kernel] ?? Number.POSITIVE_INFINITY);
    points.push({ capacity_B, bound_B: strongest(termsAt(subject, asked.dtype, capacity_B)).bytes, requested_B });
  }
  return points;
}

function pebbleFor({ op }: Subject, { dtype, capacity_B, name }: Asked): Bounds['pebbling'] {
  if (!op) throw new InputError(`no graph of ${name}`, '--pebble');
  // a complex value is two numbers
  const width_B = bytesOf(dtype) * (op.kind === 'fft' ? 2 : 1);
  const near = Math.floor(capacity_B / width_B);
  // values of one width: partial sums take as much as operands
  const plain = (kind: Op): Op =>
    kind.kind === 'matmul' ? { ...kind, a: dtype, b: dtype, c: dtype, accumulate: dtype } : kind;
  return pebblingOf(dagOf(op), near, boundInValues(plain(op), near, width_B));
}
