/** SVG and PNG pictures: one chart, or a report's verdict above all its charts. */
import type { Chart } from '../charts/chart.js';
import { chartsOf } from '../charts/index.js';
import type { Report } from '../model.js';
import { FONT, INK, MUTED } from '../palette.js';
import { escapeXml, unbroken } from './escape.js';
import { withFontFiles } from './font.js';
import { chartSvg, textWidth } from './vega.js';

const MARGIN = 24;
const WIDTH = 880;

/** All charts below each other, under title and verdicts. */
export async function reportSvg(report: Report): Promise<string> {
  const head: Line[] = [{ text: report.title, size: 22, weight: 600 }];
  for (const run of report.runs) {
    if (report.runs.length > 1) head.push({ text: run.label, size: 13, weight: 600, gap: 8 });
    head.push({ text: unbroken(run.verdict.sentence), size: 13, weight: 400, gap: 4 });
  }
  return stack(head, chartsOf(report));
}

/** One chart with its title and caption. */
export async function pictureOf(chart: Chart, title = chart.title): Promise<string> {
  return stack([{ text: title, size: 18, weight: 600 }], [chart], false);
}

/** Charts below each other under one title. */
export async function picturesOf(charts: readonly Chart[], title: string): Promise<string> {
  return stack([{ text: title, size: 18, weight: 600 }], charts);
}

interface Line {
  readonly text: string;
  readonly size: number;
  readonly weight: 400 | 600;
  readonly gap?: number;
  readonly colour?: string;
}

async function stack(head: readonly Line[], charts: readonly Chart[], titles = true): Promise<string> {
  const parts: string[] = [];
  let y = MARGIN;
  const write = (line: Line) => {
    y += line.gap ?? 0;
    for (const row of wrap(line.text, line.size, line.weight, WIDTH - 2 * MARGIN)) {
      y += line.size * 1.4;
      parts.push(
        `<text x="${MARGIN}" y="${y.toFixed(1)}" font-size="${line.size}" font-weight="${line.weight}" fill="${line.colour ?? INK}">${escapeXml(row)}</text>`,
      );
    }
  };
  for (const line of head) write(line);
  let widest = WIDTH;
  for (const chart of charts) {
    if (titles) write({ text: chart.title, size: 16, weight: 600, gap: 22 });
    write({ text: chart.caption, size: 11.5, weight: 400, gap: 2, colour: MUTED });
    y += 14;
    const svg = await chartSvg(chart);
    const [width, height] = sizeOf(svg);
    parts.push(svg.replace(/^<svg /, `<svg x="${MARGIN}" y="${y.toFixed(1)}" `));
    widest = Math.max(widest, width + 2 * MARGIN);
    y += height;
    for (const text of chart.notes ?? []) write({ text: unbroken(text), size: 11.5, weight: 400, gap: 4 });
  }
  const height = Math.ceil(y + MARGIN);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${widest}" height="${height}" viewBox="0 0 ${widest} ${height}" font-family="${FONT}">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
  ].join('\n');
}

function sizeOf(svg: string): [number, number] {
  const width = /\bwidth="([\d.]+)"/.exec(svg)?.[1];
  const height = /\bheight="([\d.]+)"/.exec(svg)?.[1];
  return [Number(width ?? 0), Number(height ?? 0)];
}

/** Lines no wider than `width`, broken at blanks. */
function wrap(text: string, size: number, weight: 400 | 600, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/[ \t\r\n]+/)) {
    const longer = line ? `${line} ${word}` : word;
    if (line && textWidth(longer, size, weight) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return line ? [...lines, line] : lines;
}

/** The font's files call the semibold a family of its own, which browsers do not mind and the renderer does. */
function semibold(svg: string): string {
  return svg.replace(/<text\b[^>]*\bfont-weight="(?:600|bold)"[^>]*>/g, (tag) => {
    const bare = tag.replace(/\sfont-family="[^"]*"/, '').replace(/\sfont-weight="[^"]*"/, '');
    return bare.replace('<text', '<text font-family="Inter SemiBold" font-weight="600"');
  });
}

/** Renders with the pinned font; characters it lacks fall back to the system's fonts. */
export async function pngOf(svg: string, zoom = 2): Promise<Uint8Array> {
  const { Resvg } = await import('@resvg/resvg-js');
  const others = /[^\s -\u00ff\u2000-\u206f\u2212]/u.test(svg);
  return withFontFiles((fontFiles) =>
    new Resvg(semibold(svg), {
      font: { fontFiles, loadSystemFonts: others, defaultFontFamily: 'Inter' },
      fitTo: { mode: 'zoom', value: zoom },
      background: '#ffffff',
    })
      .render()
      .asPng(),
  );
}
