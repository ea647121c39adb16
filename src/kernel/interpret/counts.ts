/** The tallies of an interpretation: bytes per tensor, level and boundary, operand bytes of shared tiles, scalar work. */
import { bytesOf } from '../../base/dtype.js';
import type { MathFn } from '../../machine/graph.js';
import type { Level, Tensor, Tile } from '../ir.js';

/** Bytes by direction. */
export interface Bytes {
  read_B: number;
  write_B: number;
}
/** Pairs of levels that a copy, gather or scatter joins, far side first. */
export const BOUNDARIES = [
  'global-shared',
  'global-register',
  'shared-register',
  'shared-shared',
  'register-register',
] as const;
export type Boundary = (typeof BOUNDARIES)[number];

const FARNESS: Record<Level, number> = { register: 0, shared: 1, global: 2 };
type End = Tensor | Tile;
const levelOf = (x: End): Level => ('level' in x ? x.level : 'global');

export class Counts {
  readonly tensor: Record<string, Bytes> = {};
  readonly level: Record<Level, Bytes> = { register: none(), shared: none(), global: none() };
  readonly boundary: Record<Boundary, Bytes> = {
    'global-shared': none(),
    'global-register': none(),
    'shared-register': none(),
    'shared-shared': none(),
    'register-register': none(),
  };
  readonly operand: Record<string, Bytes> = {};
  readonly work: Partial<Record<MathFn, number>> = {};
  mma_flops = 0;
  reduce_steps = 0;

  constructor(tensors: readonly Tensor[], tiles: readonly Tile[]) {
    for (const t of tensors) this.tensor[t.name] = none();
    for (const t of tiles) if (t.level === 'shared') this.operand[t.name] = none();
  }

  /** `elements` go from one end to the other; each end counts them at its own dtype, the boundary at the far end's. */
  move(elements: number, from: End, to: End): void {
    const read_B = elements * bytesOf(from.dtype);
    const write_B = elements * bytesOf(to.dtype);
    const a = levelOf(from);
    const b = levelOf(to);
    this.level[a].read_B += read_B;
    this.level[b].write_B += write_B;
    if (a === 'global') this.tensor[from.name]!.read_B += read_B;
    if (b === 'global') this.tensor[to.name]!.write_B += write_B;
    if (FARNESS[a] >= FARNESS[b]) this.boundary[`${a}-${b}` as Boundary].read_B += read_B;
    else this.boundary[`${b}-${a}` as Boundary].write_B += write_B;
  }

  /** mma, map, reduce or an index reads (writes) the whole of a tile; only shared tiles are counted. */
  operandRead(t: Tile): void {
    if (t.level === 'shared') this.operand[t.name]!.read_B += t.rows * t.cols * bytesOf(t.dtype);
  }
  operandWrite(t: Tile): void {
    if (t.level === 'shared') this.operand[t.name]!.write_B += t.rows * t.cols * bytesOf(t.dtype);
  }

  addWork(work: Readonly<Partial<Record<MathFn, number>>>, elements: number): void {
    for (const fn of Object.keys(work) as MathFn[]) this.work[fn] = (this.work[fn] ?? 0) + work[fn]! * elements;
  }
}

function none(): Bytes {
  return { read_B: 0, write_B: 0 };
}
