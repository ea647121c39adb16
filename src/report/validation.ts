/** A validation on a device as a page, Markdown, JSON or a picture. */
import type { DeviceReport } from '../validate/device/report.js';
import { type ValidationView, validationCharts } from './charts/validation.js';
import { quantity } from './format.js';
import { chartsHtml, type PlainPage } from './render/html.js';
import { markdownTable } from './render/markdown.js';
import { pictureOf, pngOf } from './render/picture.js';
import type { Table } from './table.js';
import {
  baselinesTable,
  casesTable,
  conceptsTable,
  faultsTable,
  partsTable,
  picksTable,
  skippedTable,
  tolerancesTable,
  worstTable,
} from './validation-tables.js';

export type { ValidationView };

/** The result in sentences. */
export function validationVerdict(r: DeviceReport): string {
  if (r.n === 0) return `No case was run on ${r.device}: ${r.n_skipped} left out.`;
  const numerics =
    r.numerics_failed === 0 ? 'all results are right' : `${r.numerics_failed} of ${r.n} results are wrong`;
  const bytes =
    r.bytes_unequal === 0
      ? `all bytes are equal${r.bytes_counted < r.n ? ` (${r.bytes_counted} counted on the device)` : ''}`
      : `${r.bytes_unequal} of ${r.n} byte counts differ`;
  return `${r.n} cases on ${r.device}: ${numerics}, ${bytes}. Simulated times are off by ${quantity(r.mape, '%')} in the mean (${quantity(r.median_ape, '%')} in the median, bias ${quantity(r.bias, '%')}); tile variants rank with a Kendall τ of ${r.kendall_tau.toFixed(2)}. The roofline alone is off by ${quantity(r.baselines['roofline']?.mape ?? 0, '%')}${r.baselines['uncalibrated'] ? `, a description of which nothing was measured by ${quantity(r.baselines['uncalibrated'].mape, '%')}` : ''}.${r.interrupted ? ' Interrupted: some cases are missing.' : ''}`;
}

/** Tables beside the charts, in reading order; those with rows. */
export function validationTables(r: DeviceReport): Table[] {
  return [
    faultsTable(r),
    baselinesTable(r),
    partsTable(r, 'kernel'),
    partsTable(r, 'group'),
    tolerancesTable(r),
    picksTable(r),
    worstTable(r),
    skippedTable(r),
    conceptsTable(r),
  ].filter((t) => t.rows.length > 0);
}

export async function renderValidation(
  report: DeviceReport,
  view: ValidationView,
  page: PlainPage,
  format: 'html' | 'md' | 'json' | 'svg' | 'png',
): Promise<string | Uint8Array> {
  const verdict = validationVerdict(report);
  switch (format) {
    case 'json':
      return `${JSON.stringify(report, null, 2)}\n`;
    case 'md': {
      const tables = [...validationTables(report), casesTable(report.cases)];
      return `# ${page.title}\n\n${verdict}\n\n${tables.map((t) => `## ${t.title}\n\n${markdownTable(t)}`).join('\n\n')}\n\n## Reproduce\n\n    ${page.command}\n`;
    }
    case 'html':
      return chartsHtml(page, validationCharts(view), report, { lead: verdict, tables: validationTables(report) });
    default: {
      const [chart] = validationCharts(view);
      if (!chart) throw new Error('no case was measured');
      const svg = await pictureOf(chart, page.title);
      return format === 'svg' ? svg : pngOf(svg);
    }
  }
}
