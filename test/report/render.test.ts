/** What reports are rendered to: the same numbers everywhere, nothing that names could break, no network. */
import { describe, expect, it } from 'vitest';
import {
  buildReport,
  computeRoofs,
  formatOf,
  memoryRoofs,
  type Report,
  renderReport,
  renderRoofline,
} from '../../src/report/index.js';
import { advances, withFontFiles } from '../../src/report/render/font.js';
import { ASSUMPTIONS, demands, sampleMachine, sampleSimulation, sampleSweep } from './sample.js';

const machine = sampleMachine();
const simulation = sampleSimulation(machine);
const report = buildReport({
  runs: [{ simulation, machine, assumptions: ASSUMPTIONS }],
  sweep: sampleSweep(),
  command: 'tilewright report -m sample-100 -w sample',
  version: '1.2.3',
});

const EVIL = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&|\`\u2028]]>`;

const unescapeHtml = (text: string) =>
  text
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&amp;/g, '&');

/** Contents of JSON script elements by id, the way a browser finds them: up to the first closing tag. */
function embedded(html: string): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [, id, json] of html.matchAll(/<script type="application\/json" id="([^"]*)">(.*?)<\/script/gs))
    found.set(id!, JSON.parse(json!));
  return found;
}

describe('the page', () => {
  it('holds the data of the report, and it is that of the JSON', async () => {
    const html = (await renderReport(report, 'html')) as string;
    const json = JSON.parse((await renderReport(report, 'json')) as string) as Report;
    expect(embedded(html).get('tilewright-report')).toEqual(json);
    expect(json).toEqual(report);
  });

  it('shows each figure with its exact value beside the text', async () => {
    const html = (await renderReport(report, 'html')) as string;
    for (const f of report.runs[0]!.figures) expect(html).toContain(`<data value="${f.value}" data-key="${f.key}">`);
    const table = /<table class="sortable" id="table-run1-ops">.*?<\/table>/s.exec(html)![0];
    const values = [...table.matchAll(/<data value="([^"]*)">/g)].map((m) => Number(m[1]));
    for (const op of report.runs[0]!.ops)
      for (const value of [op.time_s, op.total_time_s, op.energy_J, op.flops, op.moved_B['dram']])
        expect(values).toContain(value);
  });

  it('draws the same numbers in its charts', async () => {
    const found = embedded((await renderReport(report, 'html')) as string);
    const spec = found.get('spec-roofline') as {
      data: { name: string; values?: { op: string; y: number; total: boolean }[] }[];
    };
    const points = spec.data.find((d) => d.name === 'points')!.values!.filter((p) => !p.total);
    for (const p of points) expect(report.runs[0]!.roofline.points.find((q) => q.name === p.op)!.flops_per_s).toBe(p.y);
    expect(new Set(points.map((p) => p.op)).size).toBe(report.runs[0]!.roofline.points.length);
    expect([...found.keys()]).toEqual(expect.arrayContaining(['spec-energy', 'spec-run1-time', 'spec-pareto']));
  });

  it('asks nothing of the network', async () => {
    const html = (await renderReport(report, 'html')) as string;
    const markup = html.replace(/<script\b[^>]*>.*?<\/script>/gs, '');
    expect(markup).not.toMatch(/<(?:link|iframe|object|embed)\b/);
    expect(markup.match(/\b(?:src|href)=["']?(?!data:|#)/g)).toBeNull();
    expect(markup.match(/url\((?!data:|#|&quot;#|'#)/g)).toBeNull();
    expect(html).toContain("default-src 'none'");
    expect(html.length).toBeLessThan(1_500_000);
  });

  it('cannot be broken out of by names', async () => {
    const ops = simulation.ops!.map((op) => ({
      ...op,
      name: op.name + EVIL,
      kernel: EVIL,
      kind: op.kind + EVIL,
      bound_by: EVIL,
    }));
    const sweep = sampleSweep();
    const evil = buildReport({
      runs: [
        {
          simulation: { ...simulation, ops, workload: EVIL, warnings: [EVIL] },
          machine: { ...machine, title: EVIL },
          assumptions: [{ ...ASSUMPTIONS[0]!, path: EVIL, source: EVIL }],
        },
      ],
      sweep: { ...sweep, name: EVIL, points: sweep.points.map((p) => ({ ...p, config: { [EVIL]: EVIL } })) },
      command: EVIL,
      version: '1',
      notes: [EVIL],
    });
    const html = (await renderReport(evil, 'html')) as string;
    const clean = (await renderReport(report, 'html')) as string;
    const count = (text: string, what: RegExp) => text.match(what)?.length ?? 0;
    for (const tag of [/<script\b/gi, /<\/script/gi]) expect(count(html, tag)).toBe(count(clean, tag));
    const markup = html.replace(/<script\b[^>]*>.*?<\/script>/gs, '');
    expect(markup).not.toMatch(/<img|<[^>]*\sonerror=/i);
    expect(embedded(html).get('tilewright-report')).toEqual(evil);
    const title = unescapeHtml(/<h1>(.*?)<\/h1>/s.exec(html)![1]!);
    expect(title).toBe(evil.title);

    const svg = (await renderReport(evil, 'svg')) as string;
    expect(svg).not.toMatch(/<script|<img/i);
    expect((await renderReport(evil, 'png')).length).toBeGreaterThan(10_000);
    const md = (await renderReport(evil, 'md')) as string;
    expect(md.replace(/^```+sh\n.*?\n```+$/ms, '')).not.toMatch(/(?<!\\)<script/);
  });

  it('of many runs folds what is of one', async () => {
    const runs = [1, 8, 64, 512].map((n) => ({
      simulation: sampleSimulation(machine, demands(n), `s:x,rows=${n}`),
      machine,
    }));
    const html = (await renderReport(buildReport({ runs, command: 'c', version: '1' }), 'html')) as string;
    expect(html.match(/<details class="run">/g)).toHaveLength(4);
    expect(html).toContain('id="table-verdicts"');
  });

  it('of a sweep alone has its chart and no empty sections', async () => {
    const html = (await renderReport(
      buildReport({ runs: [], sweep: sampleSweep(), command: 'c', version: '1' }),
      'html',
    )) as string;
    expect(html).toContain('data-chart="pareto"');
    expect(html).not.toContain('Key figures');
    const empty = buildReport({ runs: [], sweep: { ...sampleSweep(), points: [] }, command: 'c', version: '1' });
    for (const format of ['html', 'md', 'svg', 'png', 'json'] as const)
      expect((await renderReport(empty, format)).length).toBeGreaterThan(50);
  });

  it('is the same bytes each time', async () => {
    expect(await renderReport(report, 'html')).toBe(await renderReport(report, 'html'));
    expect(await renderReport(report, 'svg')).toBe(await renderReport(report, 'svg'));
  });
});

describe('pictures', () => {
  it('are SVG with all charts and PNG of the same shape', async () => {
    const svg = (await renderReport(report, 'svg')) as string;
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg.match(/<svg\b/g)).toHaveLength(1 + 4);
    const ids = [...svg.matchAll(/\bid="([^"]+)"/g)].map((m) => m[1]);
    expect(new Set(ids).size).toBe(ids.length);
    const png = (await renderReport(report, 'png')) as Uint8Array;
    expect([...png.slice(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    const view = new DataView(png.buffer, png.byteOffset);
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!;
    expect([view.getUint32(16), view.getUint32(20)]).toEqual([2 * Number(width), 2 * Number(height)]);
  });

  it('have text without any font on the system', async () => {
    const { Resvg } = await import('@resvg/resvg-js');
    const bounds = (weight: number, family: string) =>
      withFontFiles((fontFiles) =>
        new Resvg(
          `<svg xmlns="http://www.w3.org/2000/svg" width="400" height="40"><text x="5" y="25" font-size="20" font-weight="${weight}" font-family="${family}">roofline</text></svg>`,
          {
            font: { fontFiles, loadSystemFonts: false },
          },
        ).getBBox(),
      );
    expect(bounds(400, 'Inter')!.width).toBeGreaterThan(40);
    expect(bounds(600, 'Inter SemiBold')!.width).toBeGreaterThan(bounds(400, 'Inter')!.width);
    const expected = [...'roofline'].reduce((w, c) => w + advances(400)(c), 0) * 20;
    expect(bounds(400, 'Inter')!.width).toBeGreaterThan(expected * 0.9);
    expect(bounds(400, 'Inter')!.width).toBeLessThan(expected * 1.02);
  });
});

describe('a roofline alone', () => {
  const roofline = { memory: memoryRoofs(machine), compute: computeRoofs(machine), points: [], without_flops: 0 };
  const page = {
    title: 'Roofline of sample-100',
    version: '1',
    command: 'tilewright roofline -m sample-100',
    series: [{ id: 'm', label: 'sample-100', machine: 'sample-100', roofline }],
  };
  it('renders to every format with the same roofs', async () => {
    const html = (await renderRoofline(page, 'html')) as string;
    expect(embedded(html).get('tilewright-report')).toEqual(JSON.parse((await renderRoofline(page, 'json')) as string));
    expect((await renderRoofline(page, 'svg')) as string).toContain('DRAM 3.35 TB/s');
    expect((await renderRoofline(page, 'md')) as string).toContain('3.35 TB/s');
    expect((await renderRoofline(page, 'png')).length).toBeGreaterThan(10_000);
  });
});

describe('Markdown', () => {
  it('has the verdict first, then figures and tables, and the command last', async () => {
    const md = (await renderReport(report, 'md')) as string;
    const order = [
      report.runs[0]!.verdict.sentence.slice(0, 20),
      '## Key figures',
      '## Energy',
      '## Ops',
      '## Sweep',
      '## Assumptions',
      '## Reproduce',
    ];
    const at = order.map((text) => md.indexOf(text));
    expect(at).not.toContain(-1);
    expect(at).toEqual([...at].sort((a, b) => a - b));
    expect(md).toContain('| Stream triad |');
  });

  it('has as many cells in each row as its header', async () => {
    const md = (await renderReport(report, 'md')) as string;
    const blocks = md.split('\n\n').filter((b) => b.startsWith('|'));
    for (const block of blocks) {
      const cells = block.split('\n').map((line) => line.replace(/\\\|/g, '').split('|').length);
      expect(new Set(cells).size).toBe(1);
    }
  });
});

it('formats are told from endings', () => {
  expect(['a.html', 'a.HTM', 'a.md', 'a.markdown', 'b/c.png', 'x.svg', 'x.json', 'x.pdf', 'x'].map(formatOf)).toEqual([
    'html',
    'html',
    'md',
    'md',
    'png',
    'svg',
    'json',
    undefined,
    undefined,
  ]);
});
