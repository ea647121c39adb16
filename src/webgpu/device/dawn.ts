/// <reference types="@webgpu/types" />
/** Dawn in Node: npm `webgpu`, an optional dependency, loaded only when asked for. */
import { noPackage } from './errors.js';

export interface DawnOptions {
  /** Bounds checks on every access; on unless false. A browser always has them. */
  readonly robustness?: boolean;
  /** Part of an adapter's name. */
  readonly adapter?: string;
  /** `null`: Dawn's device that has every feature and runs nothing, to have shaders compiled for devices that are not here. */
  readonly backend?: 'null';
}

/** A new Dawn instance with timestamps not rounded. Throws DeviceError when the package is not there. */
export async function openDawn(options: DawnOptions = {}): Promise<GPU> {
  // not typed by the package, which may be absent when this is compiled
  const webgpu = (await import('webgpu' as string).catch((e: Error) => {
    throw noPackage(e.message.split('\n')[0] ?? '');
  })) as { create(options: readonly string[]): GPU };
  const on = ['allow_unsafe_apis', ...(options.robustness === false ? ['disable_robustness'] : [])];
  return webgpu.create([
    `enable-dawn-features=${on.join(',')}`,
    'disable-dawn-features=timestamp_quantization',
    ...(options.backend ? [`backend=${options.backend}`] : []),
    ...(options.adapter ? [`adapter=${options.adapter}`] : []),
  ]);
}
