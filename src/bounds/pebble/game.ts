/**
 * The red–blue pebble game (Hong and Kung, STOC 1981): red pebbles are near values, at most S of them; blue ones are values in
 * far memory, where the inputs start and the outputs must end. Loads and stores cost one each. A value may take the place
 * of one of its operands, as an accumulator does.
 */
import { InputError } from '../../base/errors.js';
import { type Dag, isInput } from './dag.js';

export interface Move {
  readonly kind: 'load' | 'store' | 'compute' | 'drop';
  readonly vertex: number;
  /** compute: the operand whose place the value takes. */
  readonly onto?: number;
}

/** The board after a move. */
export interface Frame {
  readonly move: Move;
  /** Loads and stores so far. */
  readonly cost: number;
  readonly red: readonly number[];
  readonly blue: readonly number[];
}

/** Plays moves with at most `near` red pebbles. @throws InputError at the first illegal one, or when an output is not stored */
export function replay(dag: Dag, near: number, moves: readonly Move[]): Frame[] {
  const red = new Set<number>();
  const blue = new Set<number>(dag.labels.flatMap((_, v) => (isInput(dag, v) ? [v] : [])));
  const frames: Frame[] = [];
  let cost = 0;
  for (const [i, move] of moves.entries()) {
    const { kind, vertex: v, onto } = move;
    const bad = (why: string): never => {
      throw new InputError(`${kind} ${dag.labels[v]}: ${why}`, `${dag.name}, move ${i + 1}`);
    };
    switch (kind) {
      case 'load':
        if (!blue.has(v)) bad('not in far memory');
        cost++;
        red.add(v);
        break;
      case 'store':
        if (!red.has(v)) bad('not near');
        cost++;
        blue.add(v);
        break;
      case 'compute':
        if (isInput(dag, v)) bad('an input');
        for (const p of dag.preds[v]!) if (!red.has(p)) bad(`operand ${dag.labels[p]} is not near`);
        if (onto !== undefined) {
          if (!dag.preds[v]!.includes(onto)) bad('takes the place of no operand');
          red.delete(onto);
        }
        red.add(v);
        break;
      case 'drop':
        if (!red.delete(v)) bad('not near');
    }
    if (red.size > near) bad(`${red.size} values near, room for ${near}`);
    frames.push({ move, cost, red: [...red].sort(byNumber), blue: [...blue].sort(byNumber) });
  }
  for (const o of dag.outputs)
    if (!blue.has(o)) throw new InputError(`output ${dag.labels[o]} is not stored`, dag.name);
  return frames;
}

const byNumber = (a: number, b: number): number => a - b;

export const costOf = (moves: readonly Move[]): number =>
  moves.filter((m) => m.kind === 'load' || m.kind === 'store').length;
