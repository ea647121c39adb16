/** Reports: data, and what they are rendered to. The command line calls these. */
import { TilewrightError } from '../base/errors.js';
import { seriesOf } from './charts/index.js';
import { type RooflineSeries, rooflineChart } from './charts/roofline.js';
import type { Report } from './model.js';
import { chartsHtml, type PlainPage, reportHtml } from './render/html.js';
import { markdownTable, reportMarkdown } from './render/markdown.js';
import { pictureOf, pngOf, reportSvg } from './render/picture.js';

export { accuracyMarkdown, renderAccuracy } from './accuracy.js';
export { type ExplainContext, explain, metricsOf } from './explain.js';
export { type Explanation, explainText } from './explain-node.js';
export { buildReport, type ReportInput, type RunInput, runOf } from './from-simulation.js';
export * from './model.js';
export { computeRoofs, memoryRoofs } from './roofs.js';
export { type Cell, type Column, type Table, type TextStyle, textTable } from './table.js';
export * from './tables.js';
export { renderValidation, type ValidationView, validationTables, validationVerdict } from './validation.js';
export type { RooflineSeries };
export { seriesOf };

export const REPORT_FORMATS = ['html', 'md', 'json', 'svg', 'png'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** The format a file's ending asks for; undefined when it is none of ours. */
export function formatOf(path: string): ReportFormat | undefined {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase();
  const known: Record<string, ReportFormat> = { htm: 'html', markdown: 'md' };
  return REPORT_FORMATS.find((f) => f === ending) ?? (ending ? known[ending] : undefined);
}

/** The report in `format`: text, or bytes for PNG. */
export async function renderReport(report: Report, format: ReportFormat): Promise<string | Uint8Array> {
  refuseNonFinite(report);
  switch (format) {
    case 'html':
      return reportHtml(report);
    case 'md':
      return reportMarkdown(report);
    case 'json':
      return json(report);
    case 'svg':
      return reportSvg(report);
    case 'png':
      return pngOf(await reportSvg(report));
  }
}

export interface RooflinePage extends PlainPage {
  readonly series: readonly RooflineSeries[];
  /** Memory level shown first: dram when absent. */
  readonly level?: string;
}

/** Rooflines alone, of machines or of runs. */
export async function renderRoofline(page: RooflinePage, format: ReportFormat): Promise<string | Uint8Array> {
  refuseNonFinite(page);
  const chart = rooflineChart(page.series, page.level);
  switch (format) {
    case 'html':
      return chartsHtml(page, [chart], page);
    case 'md':
      return `# ${page.title}\n\n${chart.tables.map((t) => `## ${t.title}\n\n${markdownTable(t)}`).join('\n\n')}\n`;
    case 'json':
      return json(page);
    case 'svg':
      return pictureOf(chart, page.title);
    case 'png':
      return pngOf(await pictureOf(chart, page.title));
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** JSON would turn NaN and Infinity into null without a word. */
function refuseNonFinite(value: unknown, path = ''): void {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new TilewrightError(`internal: ${path.slice(1)} of the report is ${value}`, 1);
  if (value && typeof value === 'object')
    for (const [key, inner] of Object.entries(value)) refuseNonFinite(inner, `${path}.${key}`);
}
