/** A report as Markdown: verdicts, figures and tables, for pull requests and notes. */
import type { Report } from '../model.js';
import type { Table } from '../table.js';
import {
  assumptionsTable,
  energyTable,
  figuresTable,
  limitsTable,
  opsTable,
  roofsTable,
  sweepTable,
  trafficTable,
  verdictsTable,
} from '../tables.js';
import { markdownCell } from './escape.js';

export function reportMarkdown(report: Report): string {
  const parts: string[] = [`# ${markdownCell(report.title)}`];
  const many = report.runs.length > 1;
  if (report.runs.length > 3) parts.push(markdownTable(verdictsTable(report.runs)));
  for (const run of report.runs.length > 3 ? [] : report.runs) {
    if (many) parts.push(`**${markdownCell(run.label)}.** ${markdownCell(run.verdict.sentence)}`);
    else parts.push(markdownCell(run.verdict.sentence));
  }
  const warnings = report.runs.flatMap((run) => run.warnings.map((w) => (many ? `${run.label}: ${w}` : w)));
  if (warnings.length > 0) parts.push('## Warnings', warnings.map((w) => `- ${markdownCell(w)}`).join('\n'));
  if (report.runs.length > 0) {
    parts.push('## Key figures', markdownTable(figuresTable(report.runs)));
    if (report.runs.some((r) => r.energy.length > 0))
      parts.push('## Energy by part', markdownTable(energyTable(report.runs)));
  }
  for (const run of report.runs) {
    if (many) parts.push(`## ${markdownCell(run.label)}`);
    const level = many ? '###' : '##';
    parts.push(`${level} What sets the pace`, markdownTable(limitsTable(run)));
    parts.push(`${level} Bytes per store`, markdownTable(trafficTable(run)));
    if (run.ops.length > 0) parts.push(`${level} Ops`, markdownTable(opsTable(run)));
    parts.push(`${level} Roofs`, markdownTable(roofsTable(run.id, run.machine, run.roofline)));
  }
  if (report.sweep)
    parts.push(`## Sweep of ${markdownCell(report.sweep.name)}`, markdownTable(sweepTable(report.sweep)));
  const assumptions = assumptionsTable(report);
  if (assumptions.rows.length > 0) parts.push('## Assumptions', markdownTable(assumptions));
  if (report.notes.length > 0) parts.push('## Notes', report.notes.map((n) => `- ${markdownCell(n)}`).join('\n'));
  parts.push('## Reproduce', fence(report.command), `tilewright ${report.version}`);
  return `${parts.join('\n\n')}\n`;
}

export function markdownTable(table: Table): string {
  const row = (cells: readonly string[]) => `| ${cells.map(markdownCell).join(' | ')} |`;
  const rule = table.columns.map((c) => (c.align === 'right' ? '---:' : '---'));
  return [
    row(table.columns.map((c) => c.label)),
    `| ${rule.join(' | ')} |`,
    ...table.rows.map((r) => row(r.map((cell) => cell.text))),
  ].join('\n');
}

/** A code block that its content cannot end. */
function fence(code: string): string {
  const longest = Math.max(2, ...(code.match(/`+/g) ?? []).map((run) => run.length));
  const ticks = '`'.repeat(longest + 1);
  return `${ticks}sh\n${code}\n${ticks}`;
}
