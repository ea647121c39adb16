/** Passes over the program before it is emitted: operands of mma in registers go through workgroup memory. */
import type { DType } from '../base/dtype.js';
import { copy, type Fx, type Loop, type LoopVar, type MapStmt, type Program, type Stmt, type Tile } from './ir.js';

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
 * Operands that an mma of integers reads widened from bytes are read as the bytes that they are, where lanes multiply
 * packed bytes: the widening falls away, and the wide tile with it.
 */
export function readNarrow(program: Program): { readonly program: Program; readonly dropped: readonly Tile[] } {
  const wide = new Map<Tile, Tile>();
  const refused = new Set<Tile>();
  const served = new Set<Stmt>();
  const scan = (body: readonly Stmt[]): void => {
    for (const [i, s] of body.entries()) {
      if (s.kind === 'loop') {
        scan(s.body);
        continue;
      }
      if (s.kind === 'map' && widens(s) && !wide.has(s.out)) {
        wide.set(s.out, s.ins[0]!);
        for (const x of readersOf(body.slice(i + 1), s)) served.add(x);
        continue;
      }
      for (const t of tilesOf(s)) if (s.kind !== 'mma' || t === s.acc || !served.has(s)) refused.add(t);
    }
  };
  scan(program.body);
  for (const t of refused) wide.delete(t);
  if (wide.size === 0) return { program, dropped: [] };
  const narrow = (t: Tile): Tile => wide.get(t) ?? t;
  const visit = (body: readonly Stmt[]): Stmt[] =>
    body.flatMap((s): Stmt[] => {
      if (s.kind === 'loop') return [{ ...s, body: visit(s.body) }];
      if (s.kind === 'map' && wide.has(s.out)) return [];
      return [s.kind === 'mma' ? { ...s, a: narrow(s.a), b: narrow(s.b) } : s];
    });
  const tiles = program.tiles.filter((t) => !wide.has(t));
  return { program: { ...program, tiles, body: visit(program.body) }, dropped: [...wide.keys()] };
}

const BYTES: readonly DType[] = ['int8', 'uint8'];

/** A map that only changes the format, from bytes to integers, both in workgroup memory. */
function widens({ fn, ins, out }: MapStmt): boolean {
  const [from] = ins;
  if (ins.length !== 1 || !from || !BYTES.includes(from.dtype) || out.dtype !== 'int32') return false;
  const isSame = (fx: Fx): boolean => {
    if (typeof fx === 'number') return false;
    if ('in' in fx) return true;
    if (!('f' in fx)) return false;
    const [x, y, z] = fx.args;
    if (fx.f === 'fma') return isSame(x!) && y === 1 && z === 0;
    return (fx.f === 'mul' && isSame(x!) && y === 1) || (fx.f === 'add' && isSame(x!) && y === 0);
  };
  return (
    from.level === 'shared' &&
    out.level === 'shared' &&
    out.rows === from.rows &&
    out.cols === from.cols &&
    isSame(fn.body)
  );
}

/** The products among the statements that follow which read the wide tile before the narrow one is filled anew. */
function readersOf(after: readonly Stmt[], { ins, out }: MapStmt): Stmt[] {
  const writes = (x: Stmt): boolean => {
    if (x.kind === 'loop') return x.body.some(writes);
    if (x.kind === 'map') return x.out === ins[0];
    return x.kind !== 'mma' && x.to === ins[0];
  };
  const end = after.findIndex(writes);
  return after.slice(0, end < 0 ? after.length : end).filter((x) => x.kind === 'mma' && (x.a === out || x.b === out));
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

/** Tiles that a statement touches. */
export function tilesOf(s: Exclude<Stmt, Loop>): Tile[] {
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
