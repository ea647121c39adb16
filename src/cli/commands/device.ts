/** `tilewright device`: the WebGPU adapters of this computer, their features and limits. */
import type { Command } from 'commander';
import { DeviceProcess } from '../../webgpu/device/host.js';
import { type CommonOptions, common } from '../options.js';
import { emit } from '../output.js';
import { bold, plainTable } from '../style.js';

export function define(command: Command): void {
  common(command).action(async (options: CommonOptions) => {
    const device = new DeviceProcess();
    try {
      const adapters = await device.adapters();
      await emit(options, {
        json: () => adapters,
        text: () =>
          adapters.length === 0
            ? 'no WebGPU adapter'
            : adapters
                .map(({ name, vendor, architecture, fallback, features, limits, subgroup }) =>
                  [
                    bold(name),
                    `${[vendor, architecture].filter(Boolean).join(' ')}${fallback ? ', a software device: the CPU' : ''}; subgroups of ${subgroup[0]} to ${subgroup[1]} lanes`,
                    `features: ${features.join(', ')}`,
                    plainTable(
                      ['Limit', 'Value'],
                      Object.entries(limits).map(([limit, value]) => [limit, { text: String(value), value }]),
                    ),
                  ].join('\n'),
                )
                .join('\n\n'),
      });
    } finally {
      await device.close();
    }
  });
}
