/** Parameters that a user fixes: checked, spread over the rest, and answered with the nearest choice that fits. */
import { InputError, unknownName } from '../base/errors.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { Op } from '../workload/op.js';
import { isMisfit, residency } from './fit.js';
import type { Params } from './kernel.js';
import type { AnyKernel } from './library/index.js';

/** bm=128,bn=256 */
export const show = (params: Params): string =>
  Object.entries(params)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/** The parameter a user means by `key`: its own name, or m, n, k for the block sizes bm, bn, bk. */
const meant = (kernel: AnyKernel, key: string): string =>
  kernel.params[key] === undefined && kernel.params[`b${key}`] !== undefined ? `b${key}` : key;

/** Pinned parameters under the kernel's own names. */
const named = (kernel: AnyKernel, pinned: Params): Params =>
  Object.fromEntries(Object.entries(pinned).map(([key, value]) => [meant(kernel, key), value]));

/**
 * Of `kernels`, those that have every pinned parameter with a legal value there. Throws InputError when none does:
 * an unknown name with the nearest one, a value with the legal ones.
 */
export function checkPinnedParams(kernels: readonly AnyKernel[], pinned: Params): readonly AnyKernel[] {
  let fault: InputError | undefined;
  const able = kernels.filter((kernel) => {
    const wrong = faultOf(kernel, pinned);
    fault ??= wrong;
    return wrong === undefined;
  });
  if (able.length === 0) throw fault!;
  return able;
}

function faultOf(kernel: AnyKernel, pinned: Params): InputError | undefined {
  for (const [key, value] of Object.entries(pinned)) {
    const def = kernel.params[meant(kernel, key)];
    if (!def) return unknownName('parameter', key, Object.keys(kernel.params), kernel.name);
    if (!def.values.includes(value))
      return new InputError(`${key}=${value} is not legal; expected one of ${def.values.join(', ')}`, kernel.name);
  }
  return undefined;
}

/**
 * Choices under pins, in order and each once: the candidates that agree with the pins; when there are none, every
 * candidate (and the defaults) with the pinned values put in.
 */
export function pinnedChoices(kernel: AnyKernel, pinned: Params, candidates: Iterable<Params>): Params[] {
  const fixed = named(kernel, pinned);
  const all = [...candidates];
  const agreeing = all.filter((c) => Object.entries(fixed).every(([key, value]) => c[key] === value));
  if (agreeing.length > 0) return agreeing;
  const defaults = Object.fromEntries(Object.entries(kernel.params).map(([key, def]) => [key, def.default]));
  const seen = new Set<string>();
  const out: Params[] = [];
  for (const c of [...all, defaults]) {
    const choice = { ...c, ...fixed };
    const text = show(choice);
    if (!seen.has(text)) out.push(choice);
    seen.add(text);
  }
  return out;
}

/** Σ |log₂| of the ratios of parameters: how far one choice is from another. */
const far = (a: Params, b: Params): number => {
  let sum = 0;
  for (const key in a) sum += Math.abs(Math.log2((a[key]! + 1) / ((b[key] ?? a[key]!) + 1)));
  return sum;
};

/** Of the candidates, and of what lowering one or two parameters of `params` gives, the nearest to it that fits. */
export function nearestFitting(kernel: AnyKernel, op: Op, params: Params, machine: ResourceGraph): Params | undefined {
  const options: Params[] = [];
  const lowered = (from: Params): Params[] =>
    Object.keys(from).flatMap((key) =>
      (kernel.params[key]?.values ?? []).filter((v) => v < from[key]!).map((v) => ({ ...from, [key]: v })),
    );
  for (const once of lowered(params)) options.push(once, ...lowered(once));
  options.push(...kernel.candidates(op, machine));
  options.sort((a, b) => far(params, a) - far(params, b));
  return options.find((choice) => fits(kernel, op, choice, machine));
}

function fits(kernel: AnyKernel, op: Op, params: Params, machine: ResourceGraph): boolean {
  try {
    return kernel.build(op, params, machine).every((launch) => !isMisfit(residency(launch, machine)));
  } catch (e) {
    if (e instanceof InputError) return false;
    throw e;
  }
}
