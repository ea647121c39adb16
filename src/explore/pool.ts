/** Who evaluates points: this thread, or piscina workers. Both return a line of JSON for each point, in order. */
import { setImmediate } from 'node:timers/promises';

export interface Pool {
  /** How many points are evaluated at once. */
  readonly jobs: number;
  run(points: readonly number[]): Promise<readonly string[]>;
  /** Stops at once; what runs is lost. */
  close(): Promise<void>;
}

export type EvaluateLines = (points: readonly number[]) => Promise<readonly string[]>;

export function localPool(evaluate: EvaluateLines): Pool {
  return {
    jobs: 1,
    async run(points) {
      // lets signals and the progress bar through
      await setImmediate();
      return evaluate(points);
    },
    async close() {},
  };
}

/**
 * Workers that each make their evaluator from `setup` once. `module`'s default export is
 * `(points: number[]) => Promise<string[]>`; it reads the setup from piscina's workerData.
 */
export async function workerPool(module: URL, setup: unknown, jobs: number): Promise<Pool> {
  const { Piscina } = await import('piscina');
  const piscina = new Piscina<readonly number[], readonly string[]>({
    filename: module.href,
    minThreads: jobs,
    maxThreads: jobs,
    workerData: setup,
    // a debugger's or test runner's flags are not for workers
    execArgv: [],
  });
  return {
    jobs,
    run: (points) => piscina.run(points),
    close() {
      // answers that are on their way when workers are stopped reach a pool that no longer waits for them
      piscina.on('error', () => {});
      return piscina.destroy();
    },
  };
}
