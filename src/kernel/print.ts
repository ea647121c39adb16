/** A tile program as text: as the program it is (`programText`), or as the loop nest that one workgroup walks (`nestText`). */
import { bytesOf } from '../base/dtype.js';
import { type Expr, type Fx, isTile, type Program, type Stmt, type Tensor, type Tile, type View } from './ir.js';

/** Infix, with parentheses only where precedence asks for them. */
export function exprText(e: Expr, outer = 0): string {
  if (typeof e === 'number') return e < 0 && outer > 0 ? `(${e})` : `${e}`;
  if ('var' in e) return e.var;
  if ('table' in e) return `${e.table.name}[${exprText(e.at)}]`;
  if (e.op === 'min' || e.op === 'max') return `${e.op}(${exprText(e.a)}, ${exprText(e.b)})`;
  const level = e.op === '+' || e.op === '-' ? 1 : 2;
  const text = `${exprText(e.a, level)} ${e.op} ${exprText(e.b, level + 1)}`;
  return level < outer ? `(${text})` : text;
}

export function fxText(fx: Fx, ins: readonly string[], scalars: readonly string[]): string {
  if (typeof fx === 'number') return `${fx}`;
  if ('in' in fx) return ins[fx.in] ?? `in${fx.in}`;
  if ('s' in fx) return scalars[fx.s] ?? `s${fx.s}`;
  if ('coord' in fx) return fx.coord;
  return `${fx.f}(${fx.args.map((a) => fxText(a, ins, scalars)).join(', ')})`;
}

/** Q[b, h, i·64 : +64, 0 : +128], with steps and limits where there are some. */
export function viewText(v: View, rows: number, cols: number): string {
  const at = v.at.map((e, d) => {
    const side = v.axes[0] === d ? 0 : v.axes[1] === d ? 1 : undefined;
    if (side === undefined) return exprText(e);
    const step = v.step?.[side] ?? 1;
    const limit = v.limit?.[side];
    const count = side === 0 ? rows : cols;
    return `${exprText(e)} : +${count}${step === 1 ? '' : ` step ${step}`}${limit === undefined ? '' : ` below ${exprText(limit)}`}`;
  });
  const turned = v.axes[0] > v.axes[1] && v.axes[1] >= 0 ? 'ᵀ' : '';
  return `${v.tensor.name}[${at.join(', ')}]${turned}${v.fill === undefined ? '' : ` else ${v.fill}`}`;
}

const sided = (x: View | Tile, other: View | Tile): string => {
  if (isTile(x)) return x.name;
  const shape = other as Tile;
  return viewText(x, shape.rows, shape.cols);
};

/** One statement on one line; a loop's head. */
export function stmtText(s: Stmt): string {
  switch (s.kind) {
    case 'loop':
      return `for ${s.index.var} in ${exprText(s.from)} .. ${exprText(s.to)}`;
    case 'copy': {
      const ahead = isTile(s.to) && !isTile(s.from) && s.to.stages > 1 ? `   # up to ${s.to.stages - 1} ahead` : '';
      return `${sided(s.to, s.from)} = ${sided(s.from, s.to)}${ahead}`;
    }
    case 'mma':
      return `${s.acc.name} += ${s.a.name}${s.ta ? 'ᵀ' : ''} · ${s.b.name}${s.tb ? 'ᵀ' : ''}${s.sparse ? ` (${s.sparse} sparse)` : ''}`;
    case 'map': {
      const text = fxText(
        s.fn.body,
        s.ins.map((t) => t.name),
        (s.scalars ?? []).map((e) => `(${exprText(e)})`),
      );
      return text.length <= 80
        ? `${s.out.name} = ${text}`
        : `${s.out.name} = ${s.fn.name}(${[...s.ins.map((t) => t.name), ...(s.scalars ?? []).map((e) => exprText(e))].join(', ')})`;
    }
    case 'reduce':
      return `${s.to.name} ${s.accumulate ? `${s.op}= ` : `= ${s.op} of `}${s.from.name} along ${s.axis === 1 ? 'cols' : 'rows'}`;
    case 'gather':
      return `${s.to.name} = ${viewText(s.from, s.to.rows, s.to.cols)} at rows ${s.index.name}`;
    case 'scatter':
      return `${viewText(s.to, s.from.rows, s.from.cols)} at rows ${s.index.name} ${s.combine === 'set' ? '=' : `${s.combine}=`} ${s.from.name}`;
  }
}

const tensorText = (t: Tensor): string =>
  `${t.role.padEnd(7)} ${t.name}: ${t.dtype}[${t.dims.join(', ')}]${t.strides ? ` strides [${t.strides.join(', ')}]` : ''}${t.home ? ` at ${t.home}` : ''}`;
const tileText = (t: Tile): string => {
  if (t.part)
    return `${t.level.padEnd(8)} ${t.name}: [${t.rows}, ${t.cols}] of ${t.part.of.name} from ${t.part.at} by [${t.part.strides}]`;
  const kib = (t.rows * t.cols * t.stages * bytesOf(t.dtype)) / 1024;
  return `${t.level.padEnd(8)} ${t.name}: ${t.dtype}[${t.rows}, ${t.cols}]${t.stages > 1 ? ` × ${t.stages} stages` : ''}${t.layout ? ` laid out by ${t.layout}` : ''}${t.lane ? ` lane [${t.lane}]` : ''}   # ${Math.round(kib * 100) / 100} KiB`;
};

function bodyText(body: readonly Stmt[], indent: string, line: (s: Stmt) => string): string[] {
  return body.flatMap((s) =>
    s.kind === 'loop' ? [`${indent}${line(s)}:`, ...bodyText(s.body, `${indent}  `, line)] : [`${indent}${line(s)}`],
  );
}

/** The whole program: tensors, tiles, grid and body, a line each. */
export function programText(p: Program): string {
  const grid = p.grid.map((g) => `${g.index.var} < ${g.extent}`).join(', ') || 'one workgroup';
  return [
    `program ${p.name}`,
    ...p.tensors.map((t) => `  ${tensorText(t)}`),
    ...p.tiles.map((t) => `  ${tileText(t)}`),
    `  grid ${grid}`,
    ...bodyText(p.body, '    ', stmtText),
    '',
  ].join('\n');
}

/**
 * The program as nested loops over scalars, far to near, as dataflow papers draw them: `par for` runs across
 * workgroups or lanes, `for` in time.
 */
export function nestText(p: Program): string {
  const lines = [`# ${p.name}`];
  let indent = '';
  for (const g of [...p.grid].reverse()) {
    lines.push(`${indent}par for ${g.index.var} in 0 .. ${g.extent}:   # workgroups`);
    indent += '  ';
  }
  const nest = (s: Stmt, at: string): string[] => {
    if (s.kind === 'loop') return [`${at}${stmtText(s)}:`, ...s.body.flatMap((inner) => nest(inner, `${at}  `))];
    const loops = (names: string, extents: readonly number[], text: string): string[] => [
      `${at}par for ${names} in [${extents.join(', ')}]: ${text}`,
    ];
    switch (s.kind) {
      case 'copy': {
        const t = isTile(s.to) ? s.to : (s.from as Tile);
        return loops('(r, c)', [t.rows, t.cols], stmtText(s));
      }
      case 'mma': {
        const k = s.ta ? s.a.rows : s.a.cols;
        const a = s.ta ? `${s.a.name}[kk, r]` : `${s.a.name}[r, kk]`;
        const b = s.tb ? `${s.b.name}[c, kk]` : `${s.b.name}[kk, c]`;
        return [
          `${at}par for (r, c) in [${s.acc.rows}, ${s.acc.cols}]:`,
          `${at}  for kk in 0 .. ${k}: ${s.acc.name}[r, c] += ${a} · ${b}`,
        ];
      }
      case 'map':
        return loops('(r, c)', [s.out.rows, s.out.cols], stmtText(s));
      case 'reduce':
        return [
          `${at}par for ${s.axis === 1 ? 'r' : 'c'} in [${s.axis === 1 ? s.from.rows : s.from.cols}]:`,
          `${at}  for ${s.axis === 1 ? 'c' : 'r'} in 0 .. ${s.axis === 1 ? s.from.cols : s.from.rows}: ${stmtText(s)}`,
        ];
      case 'gather':
        return loops('(r, c)', [s.to.rows, s.to.cols], stmtText(s));
      case 'scatter':
        return loops('(r, c)', [s.from.rows, s.from.cols], stmtText(s));
    }
  };
  for (const s of p.body) lines.push(...nest(s, indent));
  return `${lines.join('\n')}\n`;
}
