/**
 * The pinned font of charts and pages: Inter (SIL Open Font Licence), Latin subset, regular and semibold. Pictures
 * need it as TrueType files and its advance widths; both come from the package's WOFF.
 * WOFF 1.0: https://www.w3.org/TR/WOFF/; cmap and hmtx: the OpenType specification.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';

export const WEIGHTS = [400, 600] as const;
export type Weight = (typeof WEIGHTS)[number];

const require = createRequire(import.meta.url);

function fontFile(weight: Weight, format: 'woff' | 'woff2'): Buffer {
  return readFileSync(require.resolve(`@fontsource/inter/files/inter-latin-${weight}-normal.${format}`));
}

/** CSS that embeds the font in a page. */
export function fontFaces(): string {
  return WEIGHTS.map((weight) => {
    const data = fontFile(weight, 'woff2').toString('base64');
    return `@font-face{font-family:Inter;font-weight:${weight};font-style:normal;src:url(data:font/woff2;base64,${data}) format("woff2")}`;
  }).join('\n');
}

/** Unpacks a WOFF into the TrueType it holds. */
export function woffToTtf(woff: Buffer): Buffer {
  const tables = woff.readUInt16BE(12);
  const head = 12 + 16 * tables;
  const entries = Array.from({ length: tables }, (_, i) => {
    const at = 44 + 20 * i;
    const [offset, packed, length] = [woff.readUInt32BE(at + 4), woff.readUInt32BE(at + 8), woff.readUInt32BE(at + 12)];
    const bytes = woff.subarray(offset, offset + packed);
    return {
      tag: woff.subarray(at, at + 4),
      checksum: woff.readUInt32BE(at + 16),
      data: packed < length ? inflateSync(bytes) : bytes,
    };
  });
  const size = entries.reduce((sum, e) => sum + Math.ceil(e.data.length / 4) * 4, head);
  const ttf = Buffer.alloc(size);
  const power = Math.floor(Math.log2(tables));
  ttf.writeUInt32BE(woff.readUInt32BE(4), 0);
  ttf.writeUInt16BE(tables, 4);
  ttf.writeUInt16BE(2 ** power * 16, 6);
  ttf.writeUInt16BE(power, 8);
  ttf.writeUInt16BE(tables * 16 - 2 ** power * 16, 10);
  let offset = head;
  entries.forEach((entry, i) => {
    const at = 12 + 16 * i;
    entry.tag.copy(ttf, at);
    ttf.writeUInt32BE(entry.checksum, at + 4);
    ttf.writeUInt32BE(offset, at + 8);
    ttf.writeUInt32BE(entry.data.length, at + 12);
    entry.data.copy(ttf, offset);
    offset += Math.ceil(entry.data.length / 4) * 4;
  });
  return ttf;
}

/** Runs `use` with the paths of the font as TrueType files, which exist only as long as it runs. */
export function withFontFiles<T>(use: (paths: string[]) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'tilewright-font-'));
  try {
    return use(
      WEIGHTS.map((weight) => {
        const path = join(folder, `inter-${weight}.ttf`);
        writeFileSync(path, woffToTtf(fontFile(weight, 'woff')));
        return path;
      }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Advance width of a character in em; characters outside the subset count as 0.6. */
export type Advances = (character: string) => number;

const cache = new Map<Weight, Advances>();

export function advances(weight: Weight): Advances {
  const known = cache.get(weight);
  if (known) return known;
  const made = readAdvances(woffToTtf(fontFile(weight, 'woff')));
  cache.set(weight, made);
  return made;
}

function readAdvances(ttf: Buffer): Advances {
  const table = (tag: string): Buffer => {
    for (let i = 0; i < ttf.readUInt16BE(4); i++) {
      const at = 12 + 16 * i;
      if (ttf.toString('latin1', at, at + 4) === tag) return ttf.subarray(ttf.readUInt32BE(at + 8));
    }
    throw new Error(`font without table ${tag}`);
  };
  const perEm = table('head').readUInt16BE(18);
  const metrics = table('hhea').readUInt16BE(34);
  const hmtx = table('hmtx');
  const cmap = table('cmap');
  let format4: Buffer | undefined;
  for (let i = 0; i < cmap.readUInt16BE(2); i++) {
    const sub = cmap.subarray(cmap.readUInt32BE(4 + 8 * i + 4));
    if (sub.readUInt16BE(0) === 4) format4 = sub;
  }
  if (!format4) throw new Error('font without a format 4 character map');
  const map = format4;
  const segments2 = map.readUInt16BE(6);
  const glyphOf = (code: number): number => {
    for (let i = 0; i < segments2; i += 2) {
      if (code > map.readUInt16BE(14 + i)) continue;
      const start = map.readUInt16BE(16 + segments2 + i);
      if (code < start) return 0;
      const delta = map.readUInt16BE(16 + 2 * segments2 + i);
      const at = 16 + 3 * segments2 + i;
      const range = map.readUInt16BE(at);
      if (range === 0) return (code + delta) & 0xffff;
      const glyph = map.readUInt16BE(at + range + 2 * (code - start));
      return glyph === 0 ? 0 : (glyph + delta) & 0xffff;
    }
    return 0;
  };
  const widths = new Map<string, number>();
  return (character) => {
    let width = widths.get(character);
    if (width === undefined) {
      const code = character.codePointAt(0)!;
      const glyph = code > 0xffff ? 0 : glyphOf(code);
      width = glyph === 0 ? 0.6 : hmtx.readUInt16BE(4 * Math.min(glyph, metrics - 1)) / perEm;
      widths.set(character, width);
    }
    return width;
  };
}
