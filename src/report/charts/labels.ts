/** Places labels beside points so that they touch neither each other nor other points: greedy, in the order given. */

export interface Spot {
  readonly x: number;
  readonly y: number;
  /** Radius of the mark, px. */
  readonly radius: number;
  readonly text: string;
  /** Wants a label; others are only in the way. */
  readonly wanted: boolean;
}

export interface Label {
  readonly x: number;
  readonly y: number;
  readonly align: 'left' | 'right' | 'center';
  readonly text: string;
}

export interface Box {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

const CHAR_WIDTH = 5.9;
const LINE_HEIGHT = 13;

/** Pixel positions (y down) inside `width` × `height`; a label without a free place is left out. */
export function placeLabels(
  spots: readonly Spot[],
  width: number,
  height: number,
  taken: readonly Box[] = [],
): { spot: Spot; label: Label }[] {
  // a mark's own box comes at its own index
  const boxes: Box[] = [...spots.map((s) => around(s, Math.min(s.radius, 9))), ...taken];
  const placed: { spot: Spot; label: Label }[] = [];
  for (const [own, spot] of spots.entries()) {
    if (!spot.wanted) continue;
    for (const { label, box } of candidates(spot)) {
      const inside = box.x0 >= 0 && box.x1 <= width && box.y0 >= 0 && box.y1 <= height;
      if (!inside || boxes.some((b, i) => i !== own && overlap(b, box))) continue;
      boxes.push(box);
      placed.push({ spot, label });
      break;
    }
  }
  return placed;
}

function* candidates(spot: Spot): Generator<{ label: Label; box: Box }> {
  const w = spot.text.length * CHAR_WIDTH;
  const gap = spot.radius + 4;
  for (const [dx, dy, align] of [
    [gap, 0, 'left'],
    [-gap, 0, 'right'],
    [0, -(gap + 6), 'center'],
    [0, gap + 6, 'center'],
    [gap * 0.8, -(gap * 0.8 + 4), 'left'],
    [gap * 0.8, gap * 0.8 + 4, 'left'],
    [-gap * 0.8, -(gap * 0.8 + 4), 'right'],
    [-gap * 0.8, gap * 0.8 + 4, 'right'],
    [gap, -(gap + 18), 'left'],
    [gap, gap + 18, 'left'],
  ] as const) {
    const x = spot.x + dx;
    const y = spot.y + dy;
    const x0 = align === 'left' ? x : align === 'right' ? x - w : x - w / 2;
    yield {
      label: { x, y, align, text: spot.text },
      box: { x0, x1: x0 + w, y0: y - LINE_HEIGHT / 2, y1: y + LINE_HEIGHT / 2 },
    };
  }
}

function around(s: Spot, r: number): Box {
  return { x0: s.x - r, x1: s.x + r, y0: s.y - r, y1: s.y + r };
}

export function overlap(a: Box, b: Box): boolean {
  return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}
