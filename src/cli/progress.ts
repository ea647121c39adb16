/** A progress bar on stderr, only where somebody looks: a terminal, and not `--quiet`. */
export interface Progress {
  /** `note` stands behind the bar. */
  update(done: number, note?: string): void;
  stop(): void;
}

const SILENT: Progress = { update() {}, stop() {} };

export async function startProgress(
  what: string,
  total: number,
  options: { quiet?: boolean; start?: number } = {},
): Promise<Progress> {
  if (options.quiet || !process.stderr.isTTY || total < 2) return SILENT;
  const { default: cliProgress } = await import('cli-progress');
  const bar = new cliProgress.SingleBar({
    format: `${what} [{bar}] {value}/{total} {percentage}% {eta_formatted} {note}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barCompleteChar: '=',
    barIncompleteChar: ' ',
  });
  bar.start(total, options.start ?? 0, { note: '' });
  return { update: (done, note = '') => bar.update(done, { note }), stop: () => bar.stop() };
}
