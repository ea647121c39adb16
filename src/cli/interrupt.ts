/**
 * Ctrl-C: long commands stop at the next safe place, keep what they have and exit 130. A second Ctrl-C does not wait.
 */
import { TilewrightError } from '../base/errors.js';

/** Thrown by commands that stopped because they were asked to. */
export class Interrupted extends TilewrightError {
  constructor(message: string) {
    super(message, 130);
  }
}

/** Runs `body` with a signal that aborts on SIGINT or SIGTERM. */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await body(controller.signal);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
