/** A machine's description as plain data: lines of its file are known by text, so that it can be sent to a worker. */
import type { MachineSource } from './load.js';

export interface MachinePack extends Omit<MachineSource, 'places'> {
  readonly places: readonly (readonly [path: string, place: string])[];
}

export function pack(source: MachineSource): MachinePack {
  return { ...source, places: [...source.places].map(([path, place]) => [path, place()] as const) };
}

export function unpack(packed: MachinePack): MachineSource {
  return { ...packed, places: new Map(packed.places.map(([path, place]) => [path, () => place])) };
}
