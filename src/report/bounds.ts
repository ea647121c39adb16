/** Pages and pictures of lower bounds. */
import type { Bounds } from '../bounds/result.js';
import { boundariesTable, ioChart, pebblingTable, schedulesTable, termsTable } from './charts/io.js';
import { quantity } from './format.js';
import type { ReportFormat } from './index.js';
import { chartsHtml, type PlainPage } from './render/html.js';
import { markdownTable } from './render/markdown.js';
import { pictureOf, pngOf } from './render/picture.js';
import type { Table } from './table.js';

export { boundariesTable, pebblingTable, schedulesTable, termsTable, tileText } from './charts/io.js';

/** What bounds say, in a sentence. */
export const boundSentence = (b: Bounds): string =>
  `${b.kernel}: any schedule moves at least ${quantity(b.bound_B, 'B')} with ${quantity(b.capacity_B, 'B')} of fast memory`;

/** What stands behind it, the schedules first. */
export const boundTables = (b: Bounds, sources = false): Table[] => [
  ...(b.schedules.length > 0 ? [schedulesTable(b)] : []),
  ...(b.machine ? [boundariesTable(b.machine)] : []),
  termsTable(b, sources),
  ...(b.pebbling ? [pebblingTable(b.pebbling)] : []),
];

/** The chart of `bounds`, which must hold its curve, in `format`: text, or bytes for PNG. */
export async function renderBounds(
  page: PlainPage,
  bounds: Bounds,
  format: ReportFormat,
): Promise<string | Uint8Array> {
  const chart = ioChart(bounds);
  const lead = `${boundSentence(bounds)}. ${bounds.advice}`;
  const tables = boundTables(bounds, true);
  switch (format) {
    case 'html':
      return chartsHtml(page, [chart], bounds, { lead, tables });
    case 'md':
      return `# ${page.title}\n\n${lead}\n\n${[...tables, ...chart.tables].map((t) => `## ${t.title}\n\n${markdownTable(t)}`).join('\n\n')}\n`;
    case 'json':
      return `${JSON.stringify(bounds, null, 2)}\n`;
    case 'svg':
      return pictureOf(chart, page.title);
    case 'png':
      return pngOf(await pictureOf(chart, page.title));
  }
}
