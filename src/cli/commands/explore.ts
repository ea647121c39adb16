/** `tilewright explore SPACE --search …`: a search that need not see every point. */
import type { Command } from 'commander';
import { SEARCHES } from '../../explore/search.js';
import { run, sweepOptions } from './sweep.js';

export function define(command: Command): void {
  sweepOptions(command)
    .option('--search <name>', `how points are chosen: ${SEARCHES.join(', ')}`, 'random')
    .addHelpText(
      'after',
      '\ngrid: every point in order. random: different points drawn evenly. nsga2: points bred towards the Pareto front of the\nobjectives (Deb et al. 2002); give it --points, a fraction of the space. --seed decides; an interrupted run goes on.',
    )
    .action((space: string, options: Parameters<typeof run>[2]) => run(space, options.search ?? 'random', options));
}
