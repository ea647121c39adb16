/**
 * A cascade in the notation of extended einsums, and how often it goes over each rank that it reduces.
 *
 *   RM[b,h,p,j+1] = max(RM[b,h,p,j], LM[b,h,p,j])
 *   j: 1 pass; handed on from block to block: RM, RD, RNV
 */
import { ranksOf } from './cascade.js';
import { type Passes, passesOf } from './cascade-passes.js';
import type { Access, Cascade, Coordinate, Einsum, Until } from './einsum.js';
import { fxText } from './print.js';

export function cascadeText(cascade: Cascade): string {
  const extents = Object.entries(cascade.ranks).map(([r, n]) => `${r} ${n}`);
  return [
    cascade.name,
    `ranks: ${extents.join(', ')}`,
    '',
    ...cascade.einsums.map(einsumText),
    '',
    ...(cascade.until ? [untilText(cascade.until, cascade)] : []),
    ...passLines(cascade),
  ].join('\n');
}

function einsumText(e: Einsum): string {
  const ins = e.ins.map(accessText);
  const value = e.fn ? fxText(e.fn.body, ins, (e.places ?? []).map(coordinateText)) : ins.join(' · ');
  const reduced = e.ranks.filter((r) => !ranksOf(e.out).includes(r));
  const folded = e.reduce === 'none' ? value : `${e.reduce} over ${reduced.join(',')} of ${value}`;
  const from = e.init ? `${accessText(e.init)} ${e.reduce === 'sum' ? '+' : 'with'} ` : '';
  return `${accessText(e.out)} = ${from}${folded}`;
}

const accessText = (a: Access): string => `${a.tensor}[${a.at.map(coordinateText).join(',')}]`;

function coordinateText({ terms, offset = 0 }: Coordinate): string {
  const parts = terms.map((t) => (t.stride === 1 ? t.rank : `${t.stride}${t.rank}`));
  if (offset !== 0 || parts.length === 0) parts.push(String(offset));
  return parts.join('+').replaceAll('+-', '-');
}

/** "j ends early: 136 of 256 blocks are left, 1 to 16 for each 256 of p" */
export function untilText({ rank, by, tile, blocks }: Until, { ranks }: Cascade): string {
  const left = blocks.reduce((a, b) => a + b, 0);
  return `${rank} ends early: ${left} of ${blocks.length * ranks[rank]!} blocks are left, ${Math.min(...blocks)} to ${Math.max(...blocks)} for each ${tile} of ${by}`;
}

/** One paragraph for each rank that some einsum reduces or hands on. */
export function passLines(cascade: Cascade): string[] {
  const reduced = new Set(cascade.einsums.flatMap((e) => e.ranks.filter((r) => !ranksOf(e.out).includes(r))));
  const seen = new Set<string>();
  const lines: string[] = [];
  for (const rank of Object.keys(cascade.ranks)) {
    if (!reduced.has(rank) || seen.has(rank)) continue;
    const p = passesOf(cascade, rank);
    for (const r of p.ranks) seen.add(r);
    lines.push(passText(p, cascade));
  }
  return lines;
}

function passText(p: Passes, cascade: Cascade): string {
  const name = p.ranks.join('·');
  const extent = p.ranks.reduce((n, r) => n * cascade.ranks[r]!, 1);
  const state = cascade.tensors.filter((t) => t.start !== undefined).map((t) => t.name);
  const count = `${name}: ${p.count} ${p.count === 1 ? 'pass' : 'passes'} over ${extent}`;
  if (p.kept.length > 0) {
    const grows = p.kept.map(
      (k) => `${k.tensor} (${k.B_per_element} B for each, from pass ${k.from + 1} to ${k.to + 1})`,
    );
    return `${count}; what lives on grows with it: ${grows.join(', ')}`;
  }
  if (p.count > 1) return `${count}; nothing that has it lives on`;
  return p.state_B > 0 ? `${count}; handed on from block to block, whatever its extent: ${state.join(', ')}` : count;
}
