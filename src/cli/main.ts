#!/usr/bin/env node
/**
 * The command line. Only the module of the command that is asked for is loaded, so that `--help` answers at once.
 *
 * Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 internal error, 2 bad usage or input,
 * 3 infeasible, 4 out of tolerance, 130 interrupted.
 */
import { Command, CommanderError } from 'commander';
import { COMMANDS } from './commands/index.js';
import { VERSION } from './version.js';

async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('tilewright')
    .description('Simulates hardware accelerators from one kernel source, and explores their designs.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help on a command')
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'tilewright: ')) })
    .addHelpText('after', '\nEach command explains itself: tilewright COMMAND --help');

  const words = argv.filter((word) => !word.startsWith('-'));
  const asked = words[0] === 'help' ? words[1] : words[0];
  try {
    for (const [key, { summary, load }] of Object.entries(COMMANDS)) {
      const command = program.command(key).summary(summary).description(summary).exitOverride();
      if (key === asked) (await load()).define(command);
    }
    if (argv.length === 0) {
      program.outputHelp({ error: true });
      return 2;
    }
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    return exitCodeOf(error);
  }
}

/** Says what went wrong, on stderr, and returns the exit code. */
function exitCodeOf(error: unknown): number {
  // commander has said it; its code 0 is help or the version
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const debug = process.env['TILEWRIGHT_DEBUG'] === '1';
  const known = error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number';
  if (known && error.exitCode !== 1) process.stderr.write(`tilewright: ${error.message}\n`);
  else {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`tilewright: internal error: ${message.split('\n')[0]}\n`);
    if (!debug) process.stderr.write('Set TILEWRIGHT_DEBUG=1 to see where.\n');
  }
  if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return known ? (error.exitCode as number) : 1;
}

// a reader that has seen enough (… | head) is no error
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });

process.exitCode = await main(process.argv.slice(2));
