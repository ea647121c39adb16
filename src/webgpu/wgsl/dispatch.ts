/** How a grid of workgroups is dispatched. */
import { InfeasibleError } from '../../base/errors.js';
import type { Program } from '../../kernel/ir.js';
import type { Shader } from './shader.js';

/** How grid points are numbered: directly while there are at most three dims of legal size, else in one row. */
export function gridOf(
  sh: Shader,
  program: Program,
  most: number,
  panel: number,
): { workgroups: [number, number, number]; decode: string[] } {
  const { grid } = program;
  const axis = ['x', 'y', 'z'] as const;
  if (grid.length <= 3 && grid.every((g) => g.extent <= most)) {
    const workgroups: [number, number, number] = [1, 1, 1];
    const decode = grid.map((g, d) => {
      workgroups[d] = g.extent;
      return `let ${sh.name(g.index)} = i32(wid.${axis[d]!});`;
    });
    const [x, y] = grid;
    if (panel > 1 && x && y && x.extent > 1 && y.extent > 1) {
      // the device starts workgroups in the order of wid, x fastest; they walk panels of rows, down each column
      const each = panel * x.extent;
      const [nx, ny] = [sh.name(x.index), sh.name(y.index)];
      decode.splice(
        0,
        2,
        `let point = i32(wid.x + wid.y * ${x.extent}u);`,
        `let tall = min(${panel}, ${y.extent} - point / ${each} * ${panel});`,
        `let ${nx} = point % ${each} / tall;`,
        `let ${ny} = point / ${each} * ${panel} + point % ${each} % tall;`,
      );
    }
    return { workgroups, decode };
  }
  const total = grid.reduce((n, g) => n * g.extent, 1);
  const x = Math.min(total, most);
  const y = Math.ceil(total / x);
  if (y > most)
    throw new InfeasibleError(`${program.name} has ${total} workgroups, the device dispatches ${most ** 2}`);
  const decode = [`var point = i32(wid.x${y > 1 ? ` + wid.y * ${x}u` : ''});`];
  if (x * y > total) decode.push(`if (point >= ${total}) { return; }`);
  for (const [d, g] of grid.entries()) {
    decode.push(`let ${sh.name(g.index)} = point${d === grid.length - 1 ? '' : ` % ${g.extent}`};`);
    if (d < grid.length - 1) decode.push(`point = point / ${g.extent};`);
  }
  return { workgroups: [x, y, 1], decode };
}
