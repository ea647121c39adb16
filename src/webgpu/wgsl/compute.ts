/** mma and map on the lanes of a workgroup. */

import type { MapStmt, Mma, Reduce, Tile } from '../../kernel/ir.js';
import { gridFor, type LaneGrid, type Share, shareOf } from '../../kernel/lanes.js';
import { packedProduct } from '../../kernel/packed.js';
import { fxCode } from './fx.js';
import type { At, Shader } from './shader.js';
import { sum, type Term, times } from './term.js';
import { cast, type Scalar } from './types.js';

/** The grid of lanes of a tile in registers, or of the statement's own when it is shared. */
const gridOf = (sh: Shader, t: Tile, s: Mma | MapStmt | Reduce): LaneGrid =>
  sh.plan.grids.get(t) ?? gridFor([s], [t], sh.plan.lanes);

export function emitMap(sh: Shader, s: MapStmt): void {
  const near = [s.out, ...s.ins].find((t) => t.level === 'register');
  const out = sh.type(s.out);
  const element = (at: At): void => {
    const { lets, value, type } = fxCode(
      s.fn,
      {
        ins: s.ins.map((t) => ({ code: sh.read(t, at, sh.type(t)), type: sh.type(t) })),
        scalars: (s.scalars ?? []).map((e) => `(${sh.expr(e)})`),
        row: `(${at.r})`,
        col: `(${at.c})`,
      },
      out === 'i32' ? 'i32' : 'f32',
    );
    const assign = () => {
      if (s.out.level === 'shared') sh.count('issued workgroup stores', 1);
      sh.line(`${sh.element(s.out, at)} = ${sh.convert(value, type, s.out)};`);
    };
    if (lets.length === 0) assign();
    else
      sh.block('', () => {
        for (const l of lets) sh.line(l);
        assign();
      });
  };
  if (near) {
    const { grid } = sh.share(near);
    sh.walk(s.out, grid, element, { conditions: s.out.level === 'shared' ? sh.leader(s.out, grid) : [] });
    return;
  }
  const { cols } = s.out;
  const all = () =>
    sh.spread(s.out.rows * cols, (e) => {
      if (cols === 1) element({ i: 0, j: 0, r: e, c: 0 });
      else if (s.out.rows === 1) element({ i: 0, j: 0, r: 0, c: e });
      else {
        sh.line(`let r = ${e} / ${cols};`);
        sh.line(`let c = ${e} % ${cols};`);
        element({ i: 0, j: 0, r: 'r', c: 'c' });
      }
    });
  sh.block('', all);
}

/** acc += a·b with plain multiply–adds: each lane loads a column of a and a row of b of its share, and multiplies all pairs. */
export function emitMma(sh: Shader, s: Mma): void {
  const { a, b, acc } = s;
  const grid = gridOf(sh, acc, s);
  const share = shareOf(acc, grid);
  const k = s.ta ? a.rows : a.cols;
  const type: Scalar = sh.type(acc) === 'i32' ? 'i32' : 'f32';
  const vecA = sh.isVec(a) && !s.ta && k % 4 === 0;
  const vecB = sh.isVec(b) && Boolean(s.tb) && k % 4 === 0;
  const rowsOfB = sh.isVec(b) && !s.tb && share.chunk === 4;
  const lr = sh.laneRow(grid);
  const lc = sh.laneCol(grid);
  const rowAt = (i: Term): Term => (acc.rows === 1 ? 0 : sum(times(i, grid.down), lr));
  const guard: string[] = grid.down * grid.across < sh.plan.lanes ? [`${lr} < ${grid.down}`] : [];
  const scalar = (t: Tile, r: Term, c: Term): string => sh.read(t, { i: 0, j: 0, r, c }, type);
  const accAt = (i: Term, j: Term): string => sh.element(acc, { i, j, r: rowAt(i), c: colAt(j, share, grid, lc, acc) });
  /** Lanes past a ragged edge multiply what they clamp to; only their own registers see it. */
  const clampRow = (r: Term): Term =>
    share.rows * grid.down > acc.rows && acc.rows > 1 ? `min(${r}, ${acc.rows - 1})` : r;
  const clampCol = (c: Term): Term =>
    share.cols * grid.across > acc.cols && acc.cols > 1 ? `min(${c}, ${acc.cols - 1})` : c;

  const loadA = (kk: Term): void =>
    sh.loop('i', 0, share.rows, 1, (i) =>
      sh.line(
        `${slot('a_', i, share.rows)} = ${s.ta ? scalar(a, kk, clampRow(rowAt(i))) : scalar(a, clampRow(rowAt(i)), kk)};`,
      ),
    );
  const loadA4 = (k4: Term): void =>
    sh.loop('i', 0, share.rows, 1, (i) => {
      sh.count('issued workgroup loads', 4);
      sh.line(`${slot('a_', i, share.rows)} = ${cast(sh.vector(a, clampRow(rowAt(i)), k4), sh.type(a), type, true)};`);
    });
  const loadB = (kk: Term): void => {
    if (rowsOfB)
      sh.loop('j4', 0, share.cols / 4, 1, (j4) => {
        sh.count('issued workgroup loads', 4);
        sh.line(
          `${slot('b_', j4, share.cols / 4)} = ${cast(sh.vector(b, kk, sum(times(j4, grid.across), lc)), sh.type(b), type, true)};`,
        );
      });
    else
      sh.loop('j', 0, share.cols, 1, (j) => {
        const c = clampCol(colAt(j, share, grid, lc, acc));
        sh.line(`${slot('b_', j, share.cols)} = ${s.tb ? scalar(b, c, kk) : scalar(b, kk, c)};`);
      });
  };
  const loadB4 = (k4: Term): void =>
    sh.loop('j', 0, share.cols, 1, (j) => {
      sh.count('issued workgroup loads', 4);
      const c = clampCol(colAt(j, share, grid, lc, acc));
      sh.line(`${slot('b_', j, share.cols)} = ${cast(sh.vector(b, c, k4), sh.type(b), type, true)};`);
    });
  /** acc[i, j] += product for all of the share. */
  const multiply = (product: (i: Term, j: Term, acc: string) => string): void => {
    const touched = acc.level === 'shared';
    sh.loop('i', 0, share.rows, 1, (i) => {
      const rowGuard =
        touched && share.rows * grid.down > acc.rows && acc.rows > 1 ? [`${rowAt(i)} < ${acc.rows}`] : [];
      sh.guarded(rowGuard, () =>
        sh.loop('j', 0, share.cols, 1, (j) => {
          const colGuard =
            touched && share.cols * grid.across > acc.cols && acc.cols > 1
              ? [`${colAt(j, share, grid, lc, acc)} < ${acc.cols}`]
              : [];
          sh.guarded(colGuard, () => {
            if (touched) {
              sh.count('issued workgroup loads', 1);
              sh.count('issued workgroup stores', 1);
            }
            const place = accAt(i, j);
            sh.line(`${place} = ${product(i, j, place)};`);
          });
        }),
      );
    });
  };
  const fma = (x: string, y: string, z: string): string =>
    type === 'f32' ? `fma(${x}, ${y}, ${z})` : `${x} * ${y} + ${z}`;
  const bAt = (j: Term): string =>
    rowsOfB
      ? `${slot('b_', typeof j === 'number' ? Math.floor(j / 4) : `${j} >> 2u`, share.cols / 4)}[${typeof j === 'number' ? j % 4 : `${j} & 3`}]`
      : slot('b_', j, share.cols);

  const conditions = [...guard, ...(acc.level === 'shared' ? sh.leader(acc, grid) : [])];
  const dot4 = type === 'i32' && vecA && (vecB || (rowsOfB && k % 4 === 0)) ? dot4Of(sh, s) : undefined;
  sh.guarded(conditions, () => {
    if (dot4) {
      // four depths at once: words of a row of a, and of a column of b
      sh.loop(
        'k4',
        0,
        k / 4,
        1,
        (k4) => {
          declare(sh, 'a_', 'u32', share.rows);
          declare(sh, 'b_', vecB ? 'u32' : 'vec4<u32>', vecB ? share.cols : share.cols / 4);
          sh.loop('i', 0, share.rows, 1, (i) => {
            sh.count('issued workgroup loads', 4);
            sh.line(`${slot('a_', i, share.rows)} = ${sh.word(a, clampRow(rowAt(i)), k4)};`);
          });
          if (vecB)
            sh.loop('j', 0, share.cols, 1, (j) => {
              sh.count('issued workgroup loads', 4);
              const c = clampCol(colAt(j, share, grid, lc, acc));
              sh.line(`${slot('b_', j, share.cols)} = ${sh.word(b, c, k4)};`);
            });
          else
            sh.loop('j4', 0, share.cols / 4, 1, (j4) => {
              sh.count('issued workgroup loads', 16);
              const row = (n: number) => sh.word(b, sum(times(k4, 4), n), sum(times(j4, grid.across), lc));
              const rows = [0, 1, 2, 3].map(row).join(', ');
              sh.line(`${slot('b_', j4, share.cols / 4)} = transpose_bytes(vec4<u32>(${rows}));`);
            });
          const column = (j: Term) => (vecB ? slot('b_', j, share.cols) : bAt(j));
          const product = (i: Term, j: Term) => `${dot4}(${slot('a_', i, share.rows)}, ${column(j)})`;
          multiply((i, j, z) => `${z} + ${dot4 === 'dot4U8Packed' ? `i32(${product(i, j)})` : product(i, j)}`);
        },
        true,
      );
    } else if (vecA && vecB) {
      sh.loop(
        'k4',
        0,
        k / 4,
        1,
        (k4) => {
          declare(sh, 'a_', `vec4<${type}>`, share.rows);
          declare(sh, 'b_', `vec4<${type}>`, share.cols);
          loadA4(k4);
          loadB4(k4);
          multiply((i, j, z) => `${z} + dot(${slot('a_', i, share.rows)}, ${slot('b_', j, share.cols)})`);
        },
        true,
      );
    } else if (vecA) {
      sh.loop(
        'k4',
        0,
        k / 4,
        1,
        (k4) => {
          declare(sh, 'a_', `vec4<${type}>`, share.rows);
          loadA4(k4);
          sh.block('for (var kq = 0; kq < 4; kq++)', () => {
            declare(sh, 'b_', rowsOfB ? `vec4<${type}>` : type, rowsOfB ? share.cols / 4 : share.cols);
            loadB(sum(times(k4, 4), 'kq'));
            multiply((i, j, z) => fma(`${slot('a_', i, share.rows)}[kq]`, bAt(j), z));
          });
        },
        true,
      );
    } else {
      sh.loop(
        'kk',
        0,
        k,
        1,
        (kk) => {
          declare(sh, 'a_', type, share.rows);
          declare(sh, 'b_', rowsOfB ? `vec4<${type}>` : type, rowsOfB ? share.cols / 4 : share.cols);
          loadA(kk);
          loadB(kk);
          multiply((i, j, z) => fma(slot('a_', i, share.rows), bAt(j), z));
        },
        true,
      );
    }
  });
}

/** WGSL's product of two packed words, where both operands are such. */
function dot4Of({ plan }: Shader, s: Mma): string | undefined {
  const as = plan.dot4 ? packedProduct(s, plan.packed) : undefined;
  return as && { i8: 'dot4I8Packed', u8: 'dot4U8Packed' }[as];
}

const declare = (sh: Shader, name: string, type: string, n: number): void =>
  sh.line(n === 1 ? `var ${name}: ${type};` : `var ${name}: array<${type}, ${n}>;`);
const slot = (name: string, i: Term, n: number): string => (n === 1 ? name : `${name}[${i}]`);

/** The tile's column of a lane's local column j. */
export function colAt(j: Term, share: Share, grid: LaneGrid, lc: Term, t: Tile): Term {
  if (t.cols === 1) return 0;
  const { chunk } = share;
  if (chunk === 1) return sum(times(j, grid.across), lc);
  const high = typeof j === 'number' ? Math.floor(j / chunk) : `(${j} / ${chunk})`;
  const low = typeof j === 'number' ? j % chunk : `${j} % ${chunk}`;
  return sum(times(high, grid.across * chunk), times(lc, chunk), low);
}
