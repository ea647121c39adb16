/**
 * How register tiles lie on the lanes of a workgroup. Tiles that meet in a map, reduce or copy share one grid of
 * lanes, `down` × `across`: lane (lr, lc) holds rows lr, lr + down, … and chunks of neighbouring columns, so that
 * element-by-element work is local. A side of extent 1 is repeated on all lanes along it, so broadcasting is local too.
 */
import { isTile, type Program, type Reduce, type Stmt, type Tile } from './ir.js';
import { type Meeting, costOf as meetingCost, meetingOf } from './meeting.js';

export interface LaneGrid {
  readonly down: number;
  readonly across: number;
}

/** What one lane holds of a tile: `rows` × `cols` elements; columns in chunks of `chunk` neighbours. */
export interface Share {
  readonly grid: LaneGrid;
  readonly rows: number;
  readonly cols: number;
  readonly chunk: 1 | 2 | 4;
}

export function shareOf(t: { rows: number; cols: number }, grid: LaneGrid): Share {
  const rows = t.rows === 1 ? 1 : Math.ceil(t.rows / grid.down);
  const cols = t.cols === 1 ? 1 : Math.ceil(t.cols / grid.across);
  const fits = (n: number) => t.cols > 1 && cols % n === 0 && t.cols % (grid.across * n) === 0;
  return { grid, rows, cols, chunk: fits(4) ? 4 : fits(2) ? 2 : 1 };
}

/** Fewest and most lanes that a subgroup may have, powers of two; [0, 0] where reductions may not use subgroups. */
export type SubgroupSizes = readonly [least: number, most: number];
export const NO_SUBGROUPS: SubgroupSizes = [0, 0];

/** How the lanes of a grid come together for a reduction. */
export interface Reduction {
  /** Lanes along a line, and lines that each lane holds. */
  readonly along: number;
  readonly lines: number;
  /**
   * `lanes` neighbours meet before memory: by one operation of the subgroup where every subgroup lies inside a line,
   * else by log₂ lanes shuffles among so few that any subgroup holds them.
   */
  readonly near: { readonly lanes: number; readonly by: 'subgroup' | 'shuffle' | 'none' };
  /** Parts of each line that meet in memory (1: none do). */
  readonly parts: number;
  readonly meeting: Meeting;
}

const ALONE: Reduction['near'] = { lanes: 1, by: 'none' };

/** `lanes` of a workgroup, numbered along its subgroups. */
export function reductionOf(s: Reduce, grid: LaneGrid, lanes: number, sizes: SubgroupSizes): Reduction {
  const along = s.axis === 1 ? grid.across : grid.down;
  const { parts: all, lines } = partsOf(s, grid);
  const neighbours = s.axis === 1 || grid.across === 1;
  const whole = grid.down * grid.across === lanes && lanes % sizes[1] === 0;
  const near = all > 1 && neighbours && whole ? nearOf(along, sizes) : ALONE;
  const parts = near.lanes > 1 ? along / near.lanes : all;
  return { along, lines, near, parts, meeting: meetingOf(parts, lines, along) };
}

/** Sizes of subgroups are known only when they run: whatever it is then, these lanes are in one. */
function nearOf(along: number, [least, most]: SubgroupSizes): Reduction['near'] {
  if (least < 2) return ALONE;
  if (along % most === 0) return { lanes: least, by: 'subgroup' };
  let lanes = 1;
  while (lanes < least && along % (2 * lanes) === 0) lanes *= 2;
  return lanes > 1 ? { lanes, by: 'shuffle' } : ALONE;
}

/** Over how many lanes each line of a reduction lies (1: no lane needs another), and how many lines each lane holds. */
function partsOf(s: Reduce, grid: LaneGrid): { readonly parts: number; readonly lines: number } {
  const { rows, cols } = s.from;
  return s.axis === 1
    ? { parts: Math.min(grid.across, cols), lines: rows === 1 ? 1 : Math.ceil(rows / grid.down) }
    : { parts: Math.min(grid.down, rows), lines: cols === 1 ? 1 : Math.ceil(cols / grid.across) };
}

/** A statement's tiles that are distributed together. */
const together = (s: Stmt): readonly Tile[] => {
  switch (s.kind) {
    case 'copy':
      return [s.from, s.to].filter(isTile);
    case 'map':
      return [...s.ins, s.out];
    case 'reduce':
      return [s.from, s.to];
    case 'gather':
      return [s.index, s.to];
    case 'scatter':
      return [s.index, s.from];
    default:
      return [];
  }
};

/** One grid of lanes per register tile; tiles that meet have the same one. */
export function laneGrids(program: Program, lanes: number): Map<Tile, LaneGrid> {
  const leader = new Map<Tile, Tile>();
  const find = (t: Tile): Tile => {
    let at = t;
    while (leader.get(at) !== at) at = leader.get(at)!;
    return at;
  };
  const registers = program.tiles.filter((t) => t.level === 'register');
  for (const t of registers) leader.set(t, t);
  forEach(program.body, 1, (s) => {
    const met = together(s).filter((t) => t.level === 'register');
    for (const t of met.slice(1)) leader.set(find(t), find(met[0]!));
  });
  const groups = new Map<Tile, Tile[]>();
  for (const t of registers) groups.set(find(t), [...(groups.get(find(t)) ?? []), t]);
  const grids = new Map<Tile, LaneGrid>();
  for (const tiles of groups.values()) {
    const grid = declaredGrid(program, tiles, lanes) ?? gridFor(program.body, tiles, lanes);
    for (const t of tiles) grids.set(t, grid);
  }
  return grids;
}

/** The grid that an accumulator's declared lane tile implies, when it is one of multiply–adds and fits the lanes. */
function declaredGrid(program: Program, tiles: readonly Tile[], lanes: number): LaneGrid | undefined {
  for (const t of tiles) {
    if (!t.lane || !program.tiles.includes(t)) continue;
    const grid = { down: Math.ceil(t.rows / t.lane[0]), across: Math.ceil(t.cols / t.lane[1]) };
    if (grid.down * grid.across <= lanes) return grid;
  }
  return undefined;
}

/** Elements a scattered access costs, beside one for an element's work. */
const STRIDED = 2;
/** Weight of a loop's body over what stands before it. */
const LOOP_WEIGHT = 8;

/**
 * The cheapest grid of exactly `lanes` lanes for what the statements do with these tiles (all statements that touch
 * one of them, or the given ones when no tile is in registers): elements per lane, operands an mma reads per lane,
 * exchanges between lanes for reductions, and how scattered rows of memory are read.
 */
export function gridFor(body: readonly Stmt[], tiles: readonly Tile[], lanes: number): LaneGrid {
  let best: LaneGrid = { down: 1, across: lanes };
  let least = Number.POSITIVE_INFINITY;
  for (let across = lanes; across >= 1; across--) {
    if (lanes % across !== 0) continue;
    const grid = { down: lanes / across, across };
    let cost = 0;
    forEach(body, 1, (s, weight) => {
      cost += weight * costOf(s, tiles, grid);
    });
    if (cost < least) {
      least = cost;
      best = grid;
    }
  }
  return best;
}

function costOf(s: Stmt, tiles: readonly Tile[], grid: LaneGrid): number {
  const per = (t: Tile): number =>
    (t.rows === 1 ? 1 : Math.ceil(t.rows / grid.down)) * (t.cols === 1 ? 1 : Math.ceil(t.cols / grid.across));
  if (s.kind === 'mma') {
    if (!tiles.includes(s.acc)) return 0;
    const k = s.ta ? s.a.rows : s.a.cols;
    const tm = Math.ceil(s.acc.rows / grid.down);
    const tn = Math.ceil(s.acc.cols / grid.across);
    return k * (tm * tn + 2 * (tm + tn));
  }
  const met = together(s).filter((t) => tiles.includes(t));
  if (met.length === 0) return 0;
  let cost = Math.max(...together(s).map(per));
  if (s.kind === 'reduce') {
    const { parts, lines } = partsOf(s, grid);
    cost += meetingCost(meetingOf(parts, lines));
  }
  if ((s.kind === 'copy' && !(isTile(s.from) && isTile(s.to))) || s.kind === 'gather' || s.kind === 'scatter')
    for (const t of met) {
      // neighbouring lanes should read neighbouring elements
      const run = Math.min(t.cols, grid.across * 4);
      if (t.cols > 1 && run < Math.min(t.cols, 32)) cost += STRIDED * per(t);
    }
  return cost;
}

function forEach(body: readonly Stmt[], weight: number, found: (s: Stmt, weight: number) => void): void {
  for (const s of body) {
    if (s.kind === 'loop') forEach(s.body, weight * LOOP_WEIGHT, found);
    else found(s, weight);
  }
}
