/**
 * A report as one page that needs no network: font, vega, charts and data are inside. The data stands in the element
 * `tilewright-report` as JSON; every number shown is in a `data` element with its exact value.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Chart } from '../charts/chart.js';
import { FEW_RUNS, runCharts, sharedCharts, sweepCharts } from '../charts/index.js';
import { split } from '../format.js';
import type { Report, Run } from '../model.js';
import type { Table } from '../table.js';
import { assumptionsTable, figuresTable, opsTable, verdictsTable } from '../tables.js';
import { escapeXml, scriptJson, unbroken } from './escape.js';
import { fontFaces } from './font.js';
import { SCRIPT } from './script.js';
import { STYLE } from './style.js';
import { chartSvg, compileChart } from './vega.js';

export async function reportHtml(report: Report): Promise<string> {
  const many = report.runs.length > 1;
  const body = [
    `<h1>${escapeXml(report.title)}</h1>`,
    `<p class="meta">${escapeXml(metaOf(report))}</p>`,
    ...(report.runs.length <= FEW_RUNS
      ? report.runs.map((run) => verdict(run, many))
      : [tableHtml(verdictsTable(report.runs))]),
    warnings(report),
    report.runs.length === 1 ? figures(report.runs[0]!) : '',
    many ? `<h2>Key figures</h2>${tableHtml(figuresTable(report.runs))}` : '',
    ...(await htmlOf(sharedCharts(report))),
    ...(await Promise.all(report.runs.map((run) => runHtml(run, report.runs.length)))),
    ...(await htmlOf(sweepCharts(report))),
    assumptions(report),
    report.notes.length > 0
      ? `<h2>Notes</h2><ul>${report.notes.map((n) => `<li>${escapeXml(n)}</li>`).join('')}</ul>`
      : '',
    reproduce(report),
  ];
  return page(report.title, body, report);
}

export interface PlainPage {
  readonly title: string;
  readonly version: string;
  readonly command: string;
}

/** A page of charts with `data` as its JSON (the roofline of a machine); a sentence before them, tables after them. */
export async function chartsHtml(
  of: PlainPage,
  charts: readonly Chart[],
  data: unknown,
  { lead = '', tables = [] }: { readonly lead?: string; readonly tables?: readonly Table[] } = {},
): Promise<string> {
  const body = [
    `<h1>${escapeXml(of.title)}</h1>`,
    lead && `<p>${escapeXml(unbroken(lead))}</p>`,
    ...(await htmlOf(charts)),
    ...tables.map((t) => `<section><h2>${escapeXml(t.title)}</h2>${tableHtml(t)}</section>`),
    reproduce(of),
  ];
  return page(of.title, body, data);
}

async function page(title: string, body: readonly string[], data: unknown): Promise<string> {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="tilewright">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; font-src data:; img-src data:">
<title>${escapeXml(title)}</title>
<style>${fontFaces()}${STYLE}</style>
</head>
<body>
<main>
${body.filter(Boolean).join('\n')}
</main>
<div id="tip" role="tooltip"></div>
<script type="application/json" id="tilewright-report">${scriptJson(data)}</script>
<script>${vegaSource()}</script>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

/** vega as a browser script; its text must not end the element it stands in. */
function vegaSource(): string {
  const entry = createRequire(import.meta.url).resolve('vega/vega-schema.json');
  return readFileSync(join(dirname(entry), 'vega.min.js'), 'utf8')
    .replace(/<\/script/gi, '<\\/script')
    .replace(/<!--/g, '<\\!--')
    .replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

function metaOf(report: Report): string {
  const machines = [...new Set(report.runs.map((r) => r.machine))].join(', ');
  const fidelities = [...new Set(report.runs.map((r) => r.fidelity))].join(', ');
  const parts = [`tilewright ${report.version}`];
  if (machines) parts.push(machines);
  if (fidelities) parts.push(`${fidelities} fidelity`);
  return parts.join(' · ');
}

function verdict(run: Run, many: boolean): string {
  return `<section class="verdict">${many ? `<div class="label">${escapeXml(run.label)}</div>` : ''}<div class="headline">${escapeXml(run.verdict.headline)}</div><p>${escapeXml(unbroken(run.verdict.sentence))}</p></section>`;
}

function figures(run: Run): string {
  const cells = run.figures.map((f) => {
    const [number, unit] = split(f.value, f.unit);
    return `<div><dt>${escapeXml(f.label)}</dt><dd><data value="${f.value}" data-key="${escapeXml(f.key)}">${escapeXml(number)} <small>${escapeXml(unit)}</small></data></dd></div>`;
  });
  return `<dl class="figures">${cells.join('')}</dl>`;
}

function warnings(report: Report): string {
  const many = report.runs.length > 1;
  const all = report.runs.flatMap((run) => run.warnings.map((w) => (many ? `${run.label}: ${w}` : w)));
  if (all.length === 0) return '';
  return `<section class="warnings"><strong>${all.length > 1 ? 'Warnings' : 'Warning'}</strong><ul>${all.map((w) => `<li>${escapeXml(w)}</li>`).join('')}</ul></section>`;
}

function htmlOf(charts: readonly Chart[]): Promise<string[]> {
  return Promise.all(charts.map(chartHtml));
}

/** What is of one run alone: time by op and the table of ops; folded when there are many runs. */
async function runHtml(run: Run, runs: number): Promise<string> {
  const charts = await htmlOf(runCharts(run));
  const ops = run.ops.length === 1 ? `<section><h2>The kernel</h2>${tableHtml(opsTable(run))}</section>` : '';
  const body = charts.join('') + ops;
  if (runs === 1) return body;
  if (runs <= FEW_RUNS) return `<h2 class="run">${escapeXml(run.label)}</h2>${body}`;
  return `<details class="run"><summary>${escapeXml(run.label)}</summary>${verdict(run, false)}${body}</details>`;
}

async function chartHtml(chart: Chart): Promise<string> {
  const rows = chart.tables.reduce((n, t) => n + t.rows.length, 0);
  const tables = chart.tables.map((t) => `<h3>${escapeXml(t.title)}</h3>${tableHtml(t)}`).join('');
  return [
    `<section><h2>${escapeXml(chart.title)}</h2>`,
    `<p class="caption">${escapeXml(chart.caption)}</p>`,
    `<div class="chart" data-chart="${escapeXml(chart.id)}"><div>${await chartSvg(chart)}</div></div>`,
    `<script type="application/json" id="spec-${escapeXml(chart.id)}">${scriptJson(await compileChart(chart))}</script>`,
    chart.notes
      ? `<ul class="notes">${chart.notes.map((n) => `<li>${escapeXml(unbroken(n))}</li>`).join('')}</ul>`
      : '',
    rows > 0 ? `<details><summary>The numbers behind this chart</summary>${tables}</details>` : '',
    '</section>',
  ].join('\n');
}

export function tableHtml(table: Table): string {
  const side = table.columns.map((c) =>
    c.align === 'right' ? ' class="r"' : c.key === 'source' ? ' class="wrap"' : '',
  );
  const head = table.columns.map((c, j) => `<th scope="col" data-sort${side[j]}>${escapeXml(c.label)}</th>`).join('');
  const rows = table.rows.map(
    (row) =>
      `<tr>${row
        .map((cell, j) => {
          const text = escapeXml(cell.text);
          return `<td${side[j]}>${cell.value === undefined ? text : `<data value="${cell.value}">${text}</data>`}</td>`;
        })
        .join('')}</tr>`,
  );
  return `<div class="scroll"><table class="sortable" id="table-${escapeXml(table.id)}"><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function assumptions(report: Report): string {
  const table = assumptionsTable(report);
  if (table.rows.length === 0) return '';
  const column = table.columns.findIndex((c) => c.key === 'from');
  const counts = new Map<string, number>();
  for (const row of table.rows) counts.set(row[column]!.text, (counts.get(row[column]!.text) ?? 0) + 1);
  const words = [...counts].sort((a, b) => b[1] - a[1]).map(([from, n]) => `${n} ${from}`);
  return `<section><h2>Assumptions</h2><p class="caption">The numbers these results stand on, and where each comes from: ${escapeXml(words.join(', '))}.</p><details><summary>All ${table.rows.length}</summary>${tableHtml(table)}</details></section>`;
}

function reproduce(of: { command: string; version: string }): string {
  return `<section><h2>Reproduce</h2><pre>${escapeXml(of.command)}</pre></section><footer>Made by tilewright ${escapeXml(of.version)}. This page needs no network; its data is inside as JSON.</footer>`;
}
