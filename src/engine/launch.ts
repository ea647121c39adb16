/** What a launch costs whoever waits for it, whatever the kernel does. */
import type { Control } from '../machine/graph.js';

/**
 * From a captured graph; one by one from the host; or started while the kernel before still runs (CUDA's programmatic
 * dependent launch), which hides the launch but not the first instructions.
 */
export type LaunchMode = 'graph' | 'eager' | 'dependent';

export const launchTime = (control: Control, mode: LaunchMode): number =>
  waitOf(control, mode) + control.kernel_start_s + control.kernel_drain_s;

function waitOf(control: Control, mode: LaunchMode): number {
  switch (mode) {
    case 'graph':
      return control.launch_graph_s;
    case 'eager':
      return control.launch_eager_s;
    case 'dependent':
      return 0;
  }
}
