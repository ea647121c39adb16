/** The parent's side: a device in a child process, with a time limit for each request and nothing left behind. */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Answer, Request } from './child.js';
import type { DawnOptions } from './dawn.js';
import { DeviceError } from './errors.js';
import type { AdapterInfo, Job, JobResult } from './job.js';

export interface HostOptions extends DawnOptions {
  /** Seconds a request may take unless it says otherwise; 120 when absent. */
  readonly limit_s?: number;
  /** The child's module, when not the compiled one beside this file. */
  readonly entry?: string;
}

const DEFAULT_LIMIT_S = 120;
const STDERR_KEPT = 2000;
const CLOSE_LIMIT_MS = 2000;

export class DeviceProcess {
  private child: ChildProcess | undefined;
  private readonly waiting = new Map<number, { done: (a: Answer) => void; failed: (e: Error) => void }>();
  private nextId = 1;
  private stderr = '';
  private readonly options: HostOptions;
  private readonly kill = () => void this.child?.kill('SIGKILL');

  constructor(options: HostOptions = {}) {
    this.options = options;
  }

  async adapters(): Promise<AdapterInfo[]> {
    const a = await this.ask({ ask: 'adapters' });
    return 'adapters' in a ? a.adapters : [];
  }

  async info(): Promise<AdapterInfo> {
    const a = await this.ask({ ask: 'info' });
    if (!('info' in a)) throw new DeviceError('internal', 'the device process answered something else');
    return a.info;
  }

  /** Throws DeviceError of any kind; after timeout, crash or loss the next request starts a fresh process. */
  async run(job: Job, limit_s?: number): Promise<JobResult> {
    const a = await this.ask({ ask: 'run', job }, limit_s);
    if (!('result' in a)) throw new DeviceError('internal', 'the device process answered something else');
    // What comes over IPC are windows onto one message; callers get arrays of their own.
    const read = Object.fromEntries(Object.entries(a.result.read).map(([name, v]) => [name, new Uint8Array(v)]));
    return { ...a.result, read };
  }

  /** Ends the process; waits until it is gone. */
  async close(): Promise<void> {
    const { child } = this;
    if (!child) return;
    this.child = undefined;
    process.off('exit', this.kill);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    if (child.connected) child.disconnect();
    const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_LIMIT_MS);
    await gone;
    clearTimeout(timer);
  }

  private async ask(
    request: { ask: 'adapters' } | { ask: 'info' } | { ask: 'run'; job: Job },
    limit_s = this.options.limit_s ?? DEFAULT_LIMIT_S,
  ): Promise<Exclude<Answer, { error: unknown }>> {
    const child = this.start();
    const id = this.nextId++;
    let timer: NodeJS.Timeout | undefined;
    child.ref();
    child.channel?.ref();
    const answer = await new Promise<Answer>((done, failed) => {
      this.waiting.set(id, { done, failed });
      timer = setTimeout(() => {
        failed(new DeviceError('timeout', `the device did not finish within ${limit_s} s; its process was ended`));
        this.discard(child);
      }, limit_s * 1000);
      child.send({ id, ...request } as Request, (e) => {
        if (e) failed(new DeviceError('crashed', `the device process cannot be reached: ${e.message}`));
      });
    }).finally(() => {
      clearTimeout(timer);
      this.waiting.delete(id);
      if (this.waiting.size === 0) {
        child.unref();
        child.channel?.unref();
      }
    });
    if ('error' in answer) throw new DeviceError(answer.error.kind, answer.error.message);
    return answer;
  }

  private start(): ChildProcess {
    if (this.child) return this.child;
    const { limit_s, entry, ...dawn } = this.options;
    const path = entry ?? fileURLToPath(new URL('./child.js', import.meta.url));
    if (!existsSync(path))
      throw new DeviceError('internal', `${path} is not there; build the package first: npm run build`);
    this.stderr = '';
    const child = fork(path, [JSON.stringify(dawn)], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    this.child = child;
    process.on('exit', this.kill);
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-STDERR_KEPT);
    });
    // Only the requests that are waiting keep this process alive.
    (child.stderr as unknown as { unref?: () => void } | null)?.unref?.();
    child.on('message', (a: Answer) => this.waiting.get(a.id)?.done(a));
    child.on('error', (e) => this.fail(child, new DeviceError('crashed', `the device process failed: ${e.message}`)));
    child.on('exit', (code, signal) => {
      const said = this.stderr.trim();
      this.fail(
        child,
        new DeviceError('crashed', `the device process ended (${signal ?? code})${said ? `:\n${said}` : ''}`),
      );
    });
    return child;
  }

  private fail(child: ChildProcess, error: DeviceError): void {
    if (this.child !== child) return;
    this.discard(child);
    for (const w of this.waiting.values()) w.failed(error);
  }

  private discard(child: ChildProcess): void {
    if (this.child === child) {
      this.child = undefined;
      process.off('exit', this.kill);
    }
    child.kill('SIGKILL');
  }
}
