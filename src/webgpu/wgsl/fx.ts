/** The scalar functions of maps as WGSL expressions. */
import type { Fx, FxOp, MapFn } from '../../kernel/ir.js';
import type { Scalar } from './types.js';

export interface FxArgs {
  /** Operands as they are stored, with their types. */
  readonly ins: readonly { readonly code: string; readonly type: Scalar }[];
  /** Integer expressions (i32). */
  readonly scalars: readonly string[];
  /** Local coordinates (i32). */
  readonly row: string;
  readonly col: string;
}

type Arith = 'f32' | 'i32';

/**
 * Lines that precede (a `let` per node that several places use) and the value, in f32 or, for integer results that
 * depend on whole numbers alone, in i32.
 */
export function fxCode(fn: MapFn, args: FxArgs, wanted: Arith): { lets: string[]; value: string; type: Arith } {
  const want: Arith = wanted === 'i32' && isWhole(fn.body, args) ? 'i32' : 'f32';
  const uses = new Map<Fx, number>();
  const count = (fx: Fx): void => {
    if (typeof fx === 'number' || !('f' in fx)) return;
    const n = (uses.get(fx) ?? 0) + 1;
    uses.set(fx, n);
    if (n === 1) fx.args.forEach(count);
  };
  count(fn.body);
  const lets: string[] = [];
  const named = new Map<string, string>();
  const names = new Map<Fx, number>();

  const code = (fx: Fx, as: Arith): string => {
    if (typeof fx === 'number') return literal(fx, as);
    if ('in' in fx) {
      const { code: text, type } = args.ins[fx.in]!;
      return type === as ? text : `${as}(${text})`;
    }
    if ('s' in fx) return as === 'i32' ? args.scalars[fx.s]! : `f32(${args.scalars[fx.s]!})`;
    if ('coord' in fx) {
      const text = fx.coord === 'row' ? args.row : args.col;
      return as === 'i32' ? text : `f32(${text})`;
    }
    if ((uses.get(fx) ?? 0) < 2) return call(fx, as);
    if (!names.has(fx)) names.set(fx, names.size);
    const name = `v${names.get(fx)}${as === 'i32' ? 'i' : ''}`;
    if (!named.has(name)) {
      named.set(name, name);
      lets.push(`let ${name} = ${call(fx, as)};`);
    }
    return name;
  };
  const call = (fx: { f: FxOp; args: readonly Fx[] }, as: Arith): string => {
    const [a, b, c] = fx.args as [Fx, Fx, Fx];
    const arg = (x: Fx) => code(x, as);
    const isCondition = (x: Fx) => typeof x !== 'number' && 'f' in x && x.f === 'lt';
    const condition = (x: Fx): string => {
      if (isCondition(x)) {
        const [l, r] = (x as { args: readonly Fx[] }).args as [Fx, Fx];
        const type = isWhole(l, args) && isWhole(r, args) ? 'i32' : 'f32';
        return `${code(l, type)} < ${code(r, type)}`;
      }
      return `${code(x, 'f32')} != 0.0`;
    };
    const floats = (f: string): string => {
      const text = `${f}(${code(a, 'f32')})`;
      return as === 'i32' ? `i32(${text})` : text;
    };
    switch (fx.f) {
      case 'fma':
        return as === 'f32' ? `fma(${arg(a)}, ${arg(b)}, ${arg(c)})` : `(${arg(a)} * ${arg(b)} + ${arg(c)})`;
      case 'add':
        return `(${arg(a)} + ${arg(b)})`;
      case 'sub':
        return `(${arg(a)} - ${arg(b)})`;
      case 'mul':
        return `(${arg(a)} * ${arg(b)})`;
      case 'max':
        return `max(${arg(a)}, ${arg(b)})`;
      case 'min':
        return `min(${arg(a)}, ${arg(b)})`;
      case 'lt':
        return `select(${literal(0, as)}, ${literal(1, as)}, ${condition(fx)})`;
      case 'select':
        return `select(${arg(c)}, ${arg(b)}, ${condition(a)})`;
      case 'rcp':
        return as === 'i32' ? `i32(1.0 / ${code(a, 'f32')})` : `(1.0 / ${arg(a)})`;
      case 'div':
        return as === 'i32' ? `i32(${code(a, 'f32')} / ${code(b, 'f32')})` : `(${arg(a)} / ${arg(b)})`;
      case 'rsqrt':
        return floats('inverseSqrt');
      // tanh is 1 to the last bit of an f32 beyond 10; some devices overflow far out
      case 'tanh': {
        const text = `tanh(clamp(${code(a, 'f32')}, -10.0, 10.0))`;
        return as === 'i32' ? `i32(${text})` : text;
      }
      case 'exp2':
      case 'log2':
      case 'sqrt':
      case 'sin':
      case 'cos':
      case 'round':
      case 'floor':
        return floats(fx.f);
    }
  };
  const value = code(fn.body, want);
  return { lets, value, type: want };
}

/** Whether a node is a whole number whatever its operands hold. */
function isWhole(fx: Fx, args: FxArgs): boolean {
  if (typeof fx === 'number') return Number.isInteger(fx) && Math.abs(fx) < 2 ** 31;
  if ('in' in fx) return args.ins[fx.in]!.type === 'i32';
  if (!('f' in fx)) return true;
  switch (fx.f) {
    case 'floor':
    case 'round':
    case 'lt':
      return true;
    case 'fma':
    case 'add':
    case 'sub':
    case 'mul':
    case 'max':
    case 'min':
      return fx.args.every((a) => isWhole(a, args));
    case 'select':
      return fx.args.slice(1).every((a) => isWhole(a, args));
    default:
      return false;
  }
}

/** The largest finite f32: WGSL has no literal for infinity. */
const F32_MAX = 3.4028234663852886e38;

export function literal(x: number, as: Scalar): string {
  if (as === 'i32') {
    const whole = Math.max(-(2 ** 31) + 1, Math.min(2 ** 31 - 1, Math.trunc(x)));
    return whole < 0 ? `(${whole})` : `${whole}`;
  }
  const most = as === 'f16' ? 65504 : F32_MAX;
  const v = Math.max(-most, Math.min(most, x));
  const text = /[.e]/.test(`${v}`) ? `${v}` : `${v}.0`;
  const suffixed = as === 'f16' ? `${text}h` : /e/.test(text) ? `${text}f` : text;
  return v < 0 || Object.is(v, -0) ? `(${suffixed})` : suffixed;
}
