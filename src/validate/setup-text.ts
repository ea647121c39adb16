/** What a setup of a claim runs, in words: the machine and the kernel or workload, then the sizes. */
import type { Setup } from './claim-schema.js';

/** What runs where, without sizes; undefined where nothing is named. */
function setupText(s: Setup): string | undefined {
  const what = [
    s.workload === undefined
      ? s.ops
        ? `${s.ops.standard_attention ? 'standard attention' : 'attention'} step by step`
        : s.kernel
      : undefined,
    s.workload,
    s.workload !== undefined && s.kernel !== undefined ? `with ${s.kernel}` : undefined,
    s.backward === undefined ? undefined : `then ${s.backward}`,
    s.machine === undefined ? undefined : `on ${s.machine}`,
  ].filter((x) => x !== undefined);
  if (what.length === 0) return undefined;
  const how = [
    s.dtype,
    s.tile && assigned(s.tile),
    s.backward_tile && `backward ${assigned(s.backward_tile)}`,
    s.capacity && `within ${s.capacity}`,
    s.launch === 'eager' ? 'launched eagerly' : undefined,
    ...(s.set ?? []).map((x) => `--set ${x}`),
  ].filter((x) => x !== undefined);
  return [what.join(' '), ...how].join(', ');
}

/** The same with sizes. */
export function fullText(s: Setup): string | undefined {
  const text = setupText(s);
  const sizes = s.layer
    ? `${s.layer.products ? 'attention and products' : 'attention'} of a layer of ${s.layer.model}, batch=${s.layer.batch} seq=${s.layer.seq}`
    : s.shape && assigned(s.shape);
  return text === undefined || sizes === undefined ? text : `${text}: ${sizes}`;
}

const assigned = (sizes: Readonly<Record<string, number>>): string =>
  Object.entries(sizes)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
