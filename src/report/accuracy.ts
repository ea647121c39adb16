/** The accuracy of predictions as a page, Markdown, JSON or a picture. */
import type { AccuracyReport } from '../validate/accuracy.js';
import { accuracySummary, accuracyTable, worstRowsTable } from './accuracy-tables.js';
import { accuracyCharts } from './charts/accuracy.js';
import { chartsHtml, type PlainPage } from './render/html.js';
import { markdownTable } from './render/markdown.js';
import { picturesOf, pngOf } from './render/picture.js';
import type { Table } from './table.js';

const LEAD =
  'Public measurements of framework calls (TensorRT-LLM, PyTorch), none of them used to fit a constant of a machine (how many bookkeeping instructions TensorRT-LLM’s decode kernels issue, the same on all machines, was adjusted against these tables). Calibrated: a dozen constants of the GPU were fitted to other rows of the same tables. Datasheet: nothing of that GPU was measured but by microbenchmarks. Same chip: extends a calibrated machine with the same die. Transferred: the datasheet with the factors that calibrations of other GPUs agree on. The interval is where nine in ten measured times should lie.';

export function accuracyTables(r: AccuracyReport): Table[] {
  return [
    accuracyTable('accuracy-dtype', 'By number format', r.by_dtype),
    accuracyTable('accuracy-size', 'By size', r.by_size),
    worstRowsTable(r.worst),
  ];
}

/** The few rows that a README has room for. */
export function accuracyMarkdown(r: AccuracyReport): string {
  return markdownTable(accuracySummary(r.by_kernel));
}

export async function renderAccuracy(
  report: AccuracyReport,
  page: PlainPage,
  format: 'html' | 'md' | 'json' | 'svg' | 'png',
): Promise<string | Uint8Array> {
  const charts = accuracyCharts(report);
  switch (format) {
    case 'json':
      return `${JSON.stringify(report, null, 2)}\n`;
    case 'md': {
      const tables = [...charts.flatMap((c) => c.tables), ...accuracyTables(report)];
      return `# ${page.title}\n\n${LEAD}\n\n${tables.map((t) => `## ${t.title}\n\n${markdownTable(t)}`).join('\n\n')}\n`;
    }
    case 'html':
      return chartsHtml(page, charts, report, { lead: LEAD, tables: accuracyTables(report) });
    default: {
      const svg = await picturesOf(charts, page.title);
      return format === 'svg' ? svg : pngOf(svg);
    }
  }
}
