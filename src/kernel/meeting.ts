/**
 * How lanes that hold parts of the same lines bring them together in a reduction: a tree through workgroup memory.
 * The shader is emitted from this and the engines charge for it, so that neither can drift from the other.
 *
 * Each lane leaves its part of each of its lines. A step folds `fan` values of a line into one, its work spread over
 * the lanes of the line; at the last step every lane that holds the line folds what is left, so that all have the
 * result. A barrier stands before each step. Many values a step save barriers, few save accesses.
 */

/** What one lane does; all lanes do it together. */
export interface Meeting {
  /** Values of a line folded into one, step by step; their product is at least the parts. Empty: nothing to meet for. */
  readonly fans: readonly number[];
  readonly barriers: number;
  /** Accesses of workgroup memory, an element each. */
  readonly loads: number;
  readonly stores: number;
  /** Applications of the reduction's operator. */
  readonly folds: number;
}

/**
 * Accesses of workgroup memory that a barrier is taken to cost when trees are weighed against each other: it waits for
 * the slowest lane and starts a load's latency anew, some 30 cycles each on GPUs, where an access takes 2 to 4.
 */
const BARRIER = 16;
/** Steps beyond which no workgroup saves anything: 16³ lanes are more than any has. */
const MOST_STEPS = 3;

const known = new Map<string, Meeting>();

/**
 * The cheapest tree for lines in `parts` parts, each lane holding `lines` of them; `lanes` share a line's steps, as many
 * as there are parts when absent (more where subgroups have brought parts together before).
 */
export function meetingOf(parts: number, lines: number, lanes = parts): Meeting {
  const key = `${parts} ${lines} ${lanes}`;
  let best = known.get(key);
  if (best) return best;
  if (parts <= 1) best = { fans: [], barriers: 0, loads: 0, stores: 0, folds: 0 };
  else
    for (const fans of fansOf(parts, MOST_STEPS)) {
      const m = along(fans, parts, lines, lanes);
      if (!best || costOf(m) < costOf(best)) best = m;
    }
  known.set(key, best!);
  return best!;
}

/** In accesses of workgroup memory. */
export const costOf = (m: Meeting): number => m.loads + m.stores + BARRIER * m.barriers;

/** Values left of `parts` after a step. */
export const leftAfter = (parts: number, fan: number): number => Math.ceil(parts / fan);

/** All trees of at most `steps` steps: powers of two, then the rest at once. */
function* fansOf(parts: number, steps: number): Iterable<readonly number[]> {
  yield [parts];
  if (steps === 1) return;
  for (let fan = 2; fan < parts; fan *= 2)
    for (const rest of fansOf(leftAfter(parts, fan), steps - 1)) yield [fan, ...rest];
}

function along(fans: readonly number[], parts: number, lines: number, lanes: number): Meeting {
  let [loads, stores, folds] = [0, lines, 0];
  let left = parts;
  for (const [step, fan] of fans.entries()) {
    left = leftAfter(left, fan);
    const last = step === fans.length - 1;
    const mine = last ? lines : Math.ceil((lines * left) / lanes);
    loads += mine * fan;
    folds += mine * (fan - 1);
    if (!last) stores += mine;
  }
  return { fans, barriers: fans.length, loads, stores, folds };
}
