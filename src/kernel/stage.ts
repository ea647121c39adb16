/** Passes over the program before it is emitted: operands of mma in registers go through workgroup memory. */
import { copy, type Loop, type LoopVar, type Program, type Stmt, type Tile } from './ir.js';

export interface Staged {
  readonly program: Program;
  /** Copies that the program did not ask for. */
  readonly added: ReadonlySet<Stmt>;
}

/**
 * Lanes hold different parts of a register tile, and each needs whole rows and columns of an mma's operands: so an
 * operand in registers is copied to a shared tile just before. One shared tile serves all uses of an operand.
 */
export function stageOperands(program: Program): Staged {
  const added = new Set<Stmt>();
  const staged = new Map<Tile, Tile>();
  const near = (t: Tile): Tile => {
    let s = staged.get(t);
    if (!s) staged.set(t, (s = { ...t, name: `${t.name}_all`, level: 'shared', stages: 1, lane: undefined }));
    return s;
  };
  const visit = (body: readonly Stmt[]): Stmt[] =>
    body.flatMap((s): Stmt[] => {
      if (s.kind === 'loop') return [{ ...s, body: visit(s.body) } satisfies Loop];
      if (s.kind !== 'mma') return [s];
      const before: Stmt[] = [];
      const shared = (t: Tile): Tile => {
        if (t.level === 'shared') return t;
        const c = copy(t, near(t));
        added.add(c);
        before.push(c);
        return near(t);
      };
      const staged = { ...s, a: shared(s.a), b: shared(s.b) };
      return [...before, staged];
    });
  const body = visit(program.body);
  if (staged.size === 0) return { program, added };
  return { program: { ...program, tiles: [...program.tiles, ...staged.values()], body }, added };
}

/**
 * Tiles that may alternate between two buffers, with the indices of the loops that fill them: each loop's body fills
 * the tile before it reads it, and nothing outside such loops touches it.
 */
export function doubleBuffered(program: Program): Map<Tile, Set<LoopVar>> {
  const found = new Map<Tile, Set<LoopVar>>();
  const refused = new Set<Tile>();
  const touch = (t: Tile, writes: boolean, fresh: ReadonlySet<Tile>, filling: Loop | undefined): void => {
    if (t.level !== 'shared' || t.stages < 2) return;
    if (writes && filling) {
      const set = found.get(t) ?? new Set();
      found.set(t, set.add(filling.index));
    } else if (!fresh.has(t)) refused.add(t);
  };
  const visit = (body: readonly Stmt[], loop: Loop | undefined, outer: ReadonlySet<Tile>): void => {
    const fresh = new Set(outer);
    for (const s of body) {
      if (s.kind === 'loop') {
        visit(s.body, s, fresh);
        continue;
      }
      const fills =
        (s.kind === 'copy' || s.kind === 'gather') && 'level' in s.to && !('level' in s.from) ? s.to : undefined;
      for (const t of tilesOf(s)) if (t !== fills) touch(t, false, fresh, loop);
      if (fills) {
        touch(fills, true, fresh, loop);
        if (loop) fresh.add(fills);
      }
    }
  };
  visit(program.body, undefined, new Set());
  for (const t of refused) found.delete(t);
  return found;
}

function tilesOf(s: Exclude<Stmt, Loop>): Tile[] {
  switch (s.kind) {
    case 'copy':
      return [s.from, s.to].filter((x): x is Tile => 'level' in x);
    case 'mma':
      return [s.a, s.b, s.acc];
    case 'map':
      return [...s.ins, s.out];
    case 'reduce':
      return [s.from, s.to];
    case 'gather':
      return [s.index, s.to];
    case 'scatter':
      return [s.index, s.from];
  }
}
