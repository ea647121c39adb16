/** Pages and pictures of lower bounds. */
import type { Bounds } from '../bounds/result.js';
import { ioChart } from './charts/io.js';
import type { ReportFormat } from './index.js';
import { chartsHtml, type PlainPage } from './render/html.js';
import { markdownTable } from './render/markdown.js';
import { pictureOf, pngOf } from './render/picture.js';

export { pebblingTable, schedulesTable, tileText } from './charts/io.js';

/** The chart of `bounds`, which must hold its curve, in `format`: text, or bytes for PNG. */
export async function renderBounds(
  page: PlainPage,
  bounds: Bounds,
  format: ReportFormat,
): Promise<string | Uint8Array> {
  const chart = ioChart(bounds);
  switch (format) {
    case 'html':
      return chartsHtml(page, [chart], bounds);
    case 'md':
      return `# ${page.title}\n\n${bounds.advice}\n\n${chart.tables.map((t) => `## ${t.title}\n\n${markdownTable(t)}`).join('\n\n')}\n`;
    case 'json':
      return `${JSON.stringify(bounds, null, 2)}\n`;
    case 'svg':
      return pictureOf(chart, page.title);
    case 'png':
      return pngOf(await pictureOf(chart, page.title));
  }
}
