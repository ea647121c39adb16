/** copy, gather and scatter: elements between tensors and tiles, and between tiles. */
import { type Copy, type Gather, isTile, type Scatter, type Tensor, type Tile, type View } from '../../kernel/ir.js';
import { gridFor, type LaneGrid } from '../../kernel/lanes.js';
import { literal } from './fx.js';
import type { At, Shader } from './shader.js';
import { over, rest, type Term } from './term.js';
import { loadTensor, openWindow, storeTensor, type Window } from './window.js';

export function emitCopy(sh: Shader, s: Copy): void {
  if (!isTile(s.from)) emitLoad(sh, s, s.from, s.to as Tile);
  else if (!isTile(s.to)) emitStore(sh, s, s.from, s.to);
  else emitBetween(sh, s, s.from, s.to);
}

/** Visits a shared tile's elements (or vectors) with all lanes, those that are neighbours in the tensor side by side. */
function cooperative(sh: Shader, t: Tile, w: Window, view: View, body: (at: At) => void): void {
  const width = w.vec ? t.cols / 4 : t.cols;
  const strides = sh.strides(view.tensor);
  const rowsFirst = !w.vec && view.axes[0] >= 0 && strides[view.axes[0]] === 1 && strides[view.axes[1]] !== 1;
  sh.spread(t.rows * width, (e) => {
    const place = (n: number, of: number): readonly [Term, Term] =>
      n === 1 ? [of === 1 ? 0 : e, 0] : of === 1 ? [0, e] : [over(e, n), rest(e, n)];
    const [slow, fast] = rowsFirst ? place(t.rows, t.cols) : place(width, t.rows);
    let [r, c] = rowsFirst ? [fast, slow] : [slow, fast];
    const named = (name: string, x: Term): Term => {
      if (typeof x === 'number' || /^\w+$/.test(x)) return x;
      sh.line(`let ${name} = ${x};`);
      return name;
    };
    r = named('r', r);
    c = named(w.vec ? 'c4' : 'c', c);
    body(w.vec ? { i: 0, j: 0, r, c: typeof c === 'number' ? c * 4 : `${c} * 4`, c4: c } : { i: 0, j: 0, r, c });
  });
}

/** if (inside) { …moved } else { …filled }, without conditions that are known to hold. */
function inside(sh: Shader, conditions: readonly string[], moved: () => void, filled?: () => void): void {
  if (conditions.length === 0) moved();
  else {
    sh.block(`if (${conditions.join(' && ')})`, moved);
    if (filled) {
      sh.lines[sh.lines.length - 1] += ' else {';
      sh.indented(filled);
      sh.line('}');
    }
  }
}

function emitLoad(sh: Shader, s: Copy, view: View, to: Tile): void {
  const w = openWindow(sh, view, to.rows, to.cols);
  const fill = view.fill ?? 0;
  const from = sh.type(view.tensor);
  const element = (at: At, leader: string | undefined): void => {
    inside(
      sh,
      [...w.fixed, ...w.row(at.r), ...w.col(at.c)],
      () => {
        const n = w.vec ? 4 : 1;
        sh.countMove(s, view.tensor, to, n, leader);
        const index = w.at(at.r, w.vec ? at.c4! : at.c);
        if (w.vec && sh.samePacking(view.tensor, to)) moveWord(sh, view.tensor, index, to, at);
        else putTile(sh, to, at, loadTensor(sh, w, index), from, w.vec);
      },
      () => putTile(sh, to, at, w.vec ? `vec4<${from}>(${literal(fill, from)})` : literal(fill, from), from, w.vec),
    );
  };
  if (to.level === 'shared') {
    cooperative(sh, to, w, view, (at) => element(at, undefined));
    return;
  }
  const { grid } = sh.share(to);
  const leader = sh.leader(to, grid).join(' && ') || undefined;
  sh.walk(to, grid, (at) => element(at, leader), { vectors: w.vec });
}

/** Four packed integers as they are. */
function moveWord(sh: Shader, from: Tensor, index: Term, to: Tile, at: At): void {
  sh.count('issued global loads', 4);
  sh.count('issued workgroup stores', 4);
  sh.line(`${sh.word(to, at.r, at.c4!)} = ${sh.name(from)}[${index}];`);
}

/** Writes an element (vector) of a tile. */
function putTile(sh: Shader, t: Tile, at: At, value: string, from: 'f32' | 'f16' | 'i32', vec: boolean): void {
  if (t.level === 'shared') {
    sh.count('issued workgroup stores', vec ? 4 : 1);
    const kept = sh.convert(value, from, t, vec);
    if (vec) sh.putVector(t, at.r, at.c4!, kept);
    else sh.line(`${sh.element(t, at)} = ${kept};`);
  } else if (!vec) sh.line(`${sh.element(t, at)} = ${sh.convert(value, from, t)};`);
  else {
    sh.block('', () => {
      sh.line(`let four = ${sh.convert(value, from, t, true)};`);
      for (const [n, q] of ['x', 'y', 'z', 'w'].entries()) sh.line(`${sh.element(t, nth(at, n))} = four.${q};`);
    });
  }
}
/** Four neighbouring elements of a tile as one vector. */
function fourOf(sh: Shader, t: Tile, at: At): string {
  if (t.level === 'shared') {
    sh.count('issued workgroup loads', 4);
    return sh.vector(t, at.r, at.c4!);
  }
  return `vec4<${sh.type(t)}>(${[0, 1, 2, 3].map((n) => sh.element(t, nth(at, n))).join(', ')})`;
}
const nth = (at: At, n: number): At => ({
  ...at,
  j: typeof at.j === 'number' ? at.j + n : n === 0 ? at.j : `${at.j} + ${n}`,
});

function emitStore(sh: Shader, s: Copy, from: Tile, view: View): void {
  const w = openWindow(sh, view, from.rows, from.cols);
  const element = (at: At): void =>
    inside(sh, [...w.fixed, ...w.row(at.r), ...w.col(at.c)], () => {
      sh.countMove(s, from, view.tensor, w.vec ? 4 : 1);
      const value = w.vec ? fourOf(sh, from, at) : sh.read(from, at, sh.type(from));
      storeTensor(sh, w, w.at(at.r, w.vec ? at.c4! : at.c), sh.convert(value, sh.type(from), view.tensor, w.vec));
    });
  if (from.level === 'shared') cooperative(sh, from, w, view, element);
  else {
    const { grid } = sh.share(from);
    sh.walk(from, grid, element, { vectors: w.vec, conditions: sh.leader(from, grid) });
  }
}

/** Between tiles: over the lanes of whichever is in registers, else over all lanes. */
function emitBetween(sh: Shader, s: Copy, from: Tile, to: Tile): void {
  const near = to.level === 'register' ? to : from.level === 'register' ? from : undefined;
  const type = sh.type(from);
  if (!near) {
    const vec = sh.isVec(from) && sh.isVec(to);
    const width = vec ? to.cols / 4 : to.cols;
    sh.spread(to.rows * width, (e) => {
      const [r, c] = [over(e, width), rest(e, width)];
      const at: At = vec ? { i: 0, j: 0, r, c: 0, c4: c } : { i: 0, j: 0, r, c };
      sh.countMove(s, from, to, vec ? 4 : 1);
      putTile(sh, to, at, vec ? fourOf(sh, from, at) : sh.read(from, at, type), type, vec);
    });
    return;
  }
  const { grid, chunk } = sh.share(near);
  const other = near === to ? from : to;
  const vec = chunk === 4 && other.level === 'shared' && sh.isVec(other);
  const leader = sh.leader(near, grid);
  const writesFar = to.level === 'shared';
  sh.walk(
    near,
    grid,
    (at) => {
      sh.countMove(s, from, to, vec ? 4 : 1, writesFar ? undefined : leader.join(' && ') || undefined);
      putTile(sh, to, at, vec ? fourOf(sh, from, at) : sh.read(from, at, type), type, vec);
    },
    { vectors: vec, conditions: writesFar ? leader : [] },
  );
}

/** The lanes that walk a gather or scatter: those of its register tile, or of its register index, or a grid of its own. */
function gridOf(sh: Shader, s: Gather | Scatter, t: Tile): LaneGrid {
  for (const x of [t, s.index]) if (x.level === 'register') return sh.share(x).grid;
  return gridFor([s], [t], sh.plan.lanes);
}

export function emitGather(sh: Shader, s: Gather): void {
  const w = openWindow(sh, s.from, s.to.rows, s.to.cols, true);
  const from = sh.type(s.from.tensor);
  const fill = s.from.fill ?? 0;
  const grid = gridOf(sh, s, s.to);
  const leader = sh.leader(s.to, grid);
  const shared = s.to.level === 'shared';
  sh.walk(
    s.to,
    grid,
    (at) => {
      sh.line(`let line = ${sh.read(s.index, at, 'i32')};`);
      inside(
        sh,
        [...w.fixed, ...w.row('line'), ...w.col(at.c)],
        () => {
          sh.countMove(s, s.from.tensor, s.to, w.vec ? 4 : 1, shared ? undefined : leader.join(' && ') || undefined);
          putTile(sh, s.to, at, loadTensor(sh, w, w.at('line', w.vec ? at.c4! : at.c)), from, w.vec);
        },
        () => putTile(sh, s.to, at, w.vec ? `vec4<${from}>(${literal(fill, from)})` : literal(fill, from), from, w.vec),
      );
    },
    { vectors: w.vec, conditions: shared ? leader : [] },
  );
}

export function emitScatter(sh: Shader, s: Scatter): void {
  const { tensor } = s.to;
  const w = openWindow(sh, s.to, s.from.rows, s.from.cols, true);
  const grid = gridOf(sh, s, s.from);
  const type = sh.type(tensor);
  sh.walk(
    s.from,
    grid,
    (at) => {
      sh.line(`let line = ${sh.read(s.index, at, 'i32')};`);
      inside(sh, [...w.fixed, ...w.row('line'), ...w.col(at.c)], () => {
        sh.countMove(s, s.from, tensor, w.vec ? 4 : 1);
        const value = sh.convert(
          w.vec ? fourOf(sh, s.from, at) : sh.read(s.from, at, sh.type(s.from)),
          sh.type(s.from),
          tensor,
          w.vec,
        );
        const index = w.at('line', w.vec ? at.c4! : at.c);
        if (s.combine === 'set') storeTensor(sh, w, index, value);
        else combine(sh, tensor, index, s.combine, value, type === 'i32');
      });
    },
    { vectors: w.vec, conditions: sh.leader(s.from, grid) },
  );
}

/** An atomic add or max. WGSL has them for integers only; floats compare and exchange until nobody came between. */
function combine(sh: Shader, t: Tensor, index: Term, how: 'add' | 'max', value: string, whole: boolean): void {
  sh.count('issued global stores', 1);
  const place = `&${sh.name(t)}[${index}]`;
  if (whole) {
    sh.line(`${how === 'add' ? 'atomicAdd' : 'atomicMax'}(${place}, ${value});`);
    return;
  }
  sh.block('', () => {
    sh.line(`let term = ${value};`);
    sh.line(`var old = atomicLoad(${place});`);
    sh.block('loop', () => {
      const next = how === 'add' ? 'bitcast<f32>(old) + term' : 'max(bitcast<f32>(old), term)';
      sh.line(`let swap = atomicCompareExchangeWeak(${place}, old, bitcast<u32>(${next}));`);
      sh.line('if (swap.exchanged) { break; }');
      sh.line('old = swap.old_value;');
    });
  });
}
