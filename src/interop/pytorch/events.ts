/**
 * Calls of PyTorch's operators in a profile, as `torch.profiler.profile(record_shapes=True).export_chrome_trace()` writes
 * it: events with name, start, duration and thread; of those of operators the shapes and types of what they are given.
 */
import { InputError } from '../../base/errors.js';
import { parseJson } from '../../base/json.js';

export interface Call {
  readonly name: string;
  /** Of each input: dims of a tensor, none of anything else; its type; what it is, where that is no tensor. */
  readonly dims: readonly (readonly number[])[];
  readonly types: readonly string[];
  readonly values: readonly string[];
}

interface Event extends Call {
  readonly start: number;
  readonly end: number;
  readonly thread: string;
  readonly shaped: boolean;
  /** Holds other calls. */
  outer: boolean;
}

/**
 * The calls that `wanted` names, in the order of their start, but for those inside another such call; and how many there
 * are of each innermost call that is not wanted.
 * @throws InputError
 */
export function callsOf(
  text: string,
  file: string,
  wanted: (name: string) => boolean,
): { calls: Call[]; others: Map<string, number> } {
  const events = eventsOf(text, file);
  const kept: Event[] = [];
  const rest: Event[] = [];
  const open = new Map<string, { event: Event; inWanted: boolean }[]>();
  // an outer call starts no later and ends no earlier than those in it
  for (const event of [...events].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const stack = open.get(event.thread) ?? [];
    open.set(event.thread, stack);
    while (stack.length > 0 && stack.at(-1)!.event.end <= event.start) stack.pop();
    const around = stack.at(-1);
    if (around) around.event.outer = true;
    if (!around?.inWanted) (wanted(event.name) ? kept : rest).push(event);
    stack.push({ event, inWanted: around?.inWanted || wanted(event.name) });
  }
  if (kept.length > 0 && !kept.some((e) => e.shaped))
    throw new InputError('no call says what it was given; record it with profile(record_shapes=True)', file);
  const others = new Map<string, number>();
  for (const { name, outer } of rest) if (!outer) others.set(name, (others.get(name) ?? 0) + 1);
  return { calls: kept, others };
}

function eventsOf(text: string, file: string): Event[] {
  const json = parseJson(text, file).value as { traceEvents?: unknown } | unknown[];
  const list = Array.isArray(json) ? json : (json as { traceEvents?: unknown })?.traceEvents;
  if (!Array.isArray(list))
    throw new InputError("expected a profile of PyTorch: a JSON object with a list 'traceEvents'", file);
  const events: Event[] = [];
  list.forEach((e: unknown, i) => {
    if (typeof e !== 'object' || e === null || (e as { cat?: unknown }).cat !== 'cpu_op') return;
    const place = `${file}: traceEvents[${i}]`;
    const { name, ts, dur, pid, tid, args } = e as Record<string, unknown>;
    const [start, length] = [Number(ts), Number(dur)];
    if (typeof name !== 'string' || !Number.isFinite(start) || !(length >= 0))
      throw new InputError("expected 'name', 'ts' and 'dur' of a call", place);
    const given = (args ?? {}) as Record<string, unknown>;
    events.push({
      name,
      start,
      end: start + length,
      thread: `${pid} ${tid}`,
      shaped: given['Input Dims'] !== undefined,
      outer: false,
      dims: listOf(given['Input Dims'], place, dimsOf),
      types: listOf(given['Input type'], place, String),
      values: listOf(given['Concrete Inputs'], place, String),
    });
  });
  if (events.length === 0)
    throw new InputError('no calls of operators (events of category cpu_op) in the profile', file);
  return events;
}

function listOf<T>(value: unknown, place: string, read: (item: unknown, place: string) => T): T[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new InputError('what a call is given is not a list', place);
  return value.map((item) => read(item, place));
}

/** Lists of tensors have lists of dims: not one tensor. */
function dimsOf(item: unknown, place: string): number[] {
  if (!Array.isArray(item)) throw new InputError(`dims are '${JSON.stringify(item)}', expected a list`, place);
  if (item.some((d) => Array.isArray(d))) return [];
  if (item.some((d) => !Number.isSafeInteger(d) || (d as number) < 0))
    throw new InputError(`dims are [${item.join(', ')}], expected whole numbers`, place);
  return item as number[];
}
