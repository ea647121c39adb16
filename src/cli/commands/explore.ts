/** `tilewright explore SPACE --search …`: a search that need not see every point. */
import type { Command } from 'commander';
import { SEARCHES } from '../../explore/search.js';
import { run, sweepOptions } from './sweep.js';

export function define(command: Command): void {
  sweepOptions(command)
    .option('--search <name>', `how points are chosen: ${SEARCHES.join(', ')}`, 'random')
    .action((space: string, options: Parameters<typeof run>[2]) => run(space, options.search ?? 'random', options));
}
