/** Evaluates points for one thread: formulas compiled once, machines and traces kept between points. */
import { workerData } from 'node:worker_threads';
import { compileSpace, evaluatePoint } from './evaluate.js';
import { formulas } from './formula.js';
import type { EvaluateLines } from './pool.js';
import { opener, type Setup } from './replay.js';
import { pointOf } from './space.js';

export function evaluator(setup: Setup): EvaluateLines {
  const ready = formulas().then((compile) => compileSpace(setup.space, compile, setup.place));
  const open = opener(setup);
  return async (points) => {
    const compiled = await ready;
    const lines: string[] = [];
    for (const id of points) lines.push(JSON.stringify(await evaluatePoint(compiled, pointOf(setup.space, id), open)));
    return lines;
  };
}

let own: EvaluateLines | undefined;

/** What piscina calls; its setup comes as workerData. */
export default function evaluate(points: readonly number[]): Promise<readonly string[]> {
  own ??= evaluator(workerData as Setup);
  return own(points);
}
