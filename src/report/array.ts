/** A small systolic array, cycle by cycle: as text for the terminal, and as a page to step through. */
import { type Dataflow, type Folds, foldsOf, type Product, utilisationOf } from '../engine/systolic/dataflow.js';
import { type Element, type Frame, frameAt, occupancyByCycle, PHASES, type Word } from '../engine/systolic/frames.js';
import { quantity } from './format.js';
import { OKABE_ITO } from './palette.js';
import { escapeXml, scriptJson } from './render/escape.js';
import { fontFaces } from './render/font.js';
import { STYLE } from './render/style.js';

export interface Watched {
  readonly name: string;
  readonly dataflow: Dataflow;
  readonly product: Pick<Product, 'm' | 'n' | 'k'>;
  readonly rows: number;
  readonly cols: number;
}

const STAYS = { os: 'results stay', ws: 'weights stay', is: 'inputs stay' } as const satisfies Record<Dataflow, string>;

/** Why the array is as busy as it is: cycles of loading, filling and draining, and elements that hold nothing. */
export function utilisationSentence(w: Watched): string {
  const f = foldsOf(w.dataflow, w.product, w.rows, w.cols);
  const [down, right, time] = f.across;
  const folds = f.count[0] * f.count[1];
  const load = w.dataflow === 'os' ? 0 : w.rows;
  const skew = w.rows + w.cols - 2;
  const empty = 1 - (down * right) / (folds * w.rows * w.cols);
  const parts = [
    `Of ${f.cycles_per_fold} cycles of a fold ${time} bring new words,`,
    load > 0 ? `${load} load what stays and` : '',
    `${skew} wait for the wavefront to cross the array;`,
    folds === 1 ? 'there is 1 fold' : `there are ${folds} folds, one after another`,
    empty > 0 ? `, which ${folds === 1 ? 'leaves' : 'leave'} ${quantity(empty, '%')} of the elements without work` : '',
  ];
  return `${parts.filter(Boolean).join(' ').replace(' ,', ',')}. The array does ${quantity(utilisationOf(f), '%')} of what it could.`;
}

const wordText = (w: Word | undefined): string => (w ? `${w.operand}[${w.row},${w.col}]` : '');

function elementText(dataflow: Dataflow, e: Element): string {
  if (e.does === 'idle') return '·';
  if (e.does === 'load') return dataflow === 'ws' ? `↓b[${e.k},${e.n}]` : `↓a[${e.m},${e.k}]`;
  return `${e.m},${e.n},${e.k}`;
}

/** One cycle as a grid: words entering at the left and the top, each element's product m,n,k, results leaving below. */
export function frameText(w: Watched, frame: Frame): string {
  const f = foldsOf(w.dataflow, w.product, w.rows, w.cols);
  const cells = frame.elements.map((row) => row.map((e) => elementText(w.dataflow, e)));
  const top = frame.top.map(wordText);
  const left = frame.left.map(wordText);
  const width = Math.max(3, ...cells.flat().map((c) => c.length), ...top.map((c) => c.length));
  const margin = Math.max(...left.map((c) => c.length), 6);
  const share = frame.busy / (w.rows * w.cols);
  const bar = '█'.repeat(Math.round(share * 20)).padEnd(20, '░');
  const lines = [
    `cycle ${frame.cycle} of ${f.cycles} · fold ${frame.fold[0] + frame.fold[1] * f.count[0] + 1} of ${f.count[0] * f.count[1]} · ${frame.phase} · ${bar} ${frame.busy}/${w.rows * w.cols}`,
    `${' '.repeat(margin + 2)}${top.map((c) => c.padStart(width)).join('  ')}`.trimEnd(),
    ...cells.map((row, r) => `${left[r]!.padStart(margin)}  ${row.map((c) => c.padStart(width)).join('  ')}`),
  ];
  if (frame.out.length > 0)
    lines.push(`${' '.repeat(margin + 2)}→ ${frame.out.map((o) => `c[${o.m},${o.n}]`).join(' ')}`);
  return lines.join('\n');
}

/** Every cycle, for --json. */
export function framesOf(w: Watched, from: number, to: number): Frame[] {
  const f = foldsOf(w.dataflow, w.product, w.rows, w.cols);
  return Array.from({ length: to - from + 1 }, (_, i) => frameAt(w.dataflow, f, from + i));
}

/** A page with the array drawn, a slider over its cycles and the elements at work over time. Needs no network. */
export function arrayHtml(w: Watched, version: string, command: string): string {
  const f = foldsOf(w.dataflow, w.product, w.rows, w.cols);
  const frames = framesOf(w, 0, f.cycles - 1);
  const data = {
    rows: w.rows,
    cols: w.cols,
    phases: PHASES,
    frames: frames.map((frame) => ({
      fold: frame.fold[0] + frame.fold[1] * f.count[0] + 1,
      phase: frame.phase,
      busy: frame.busy,
      cells: frame.elements.flat().map((e) => elementText(w.dataflow, e)),
      left: frame.left.map(wordText),
      top: frame.top.map(wordText),
      out: frame.out.map((o) => `c[${o.m},${o.n}]`),
    })),
  };
  const title = `${w.name}: ${w.product.m} × ${w.product.n} × ${w.product.k} on ${w.rows} × ${w.cols}, ${STAYS[w.dataflow]}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="tilewright">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; font-src data:; img-src data:">
<title>${escapeXml(title)}</title>
<style>${fontFaces()}${STYLE}${ARRAY_STYLE}</style>
</head>
<body>
<main>
<h1>${escapeXml(title)}</h1>
<p class="meta">c[m,n] = Σ a[m,k]·b[k,n]. Each element shows the product m,n,k that it adds; ↓ is a word on its way to where it stays.</p>
<section class="verdict"><div class="headline">${escapeXml(quantity(utilisationOf(f), '%'))} of the array’s work, in ${f.cycles} cycles</div><p>${escapeXml(utilisationSentence(w))}</p></section>
<h2>Cycle <span id="cycle">0</span></h2>
<p class="caption"><span id="what"></span></p>
<div class="step"><button id="back" aria-label="one cycle back">◀</button><input id="at" type="range" min="0" max="${f.cycles - 1}" value="0" aria-label="cycle"><button id="on" aria-label="one cycle on">▶</button><button id="play">play</button></div>
<div class="scroll"><div id="array"></div></div>
<p id="out" class="caption"></p>
<h2>Elements at work</h2>
<p class="caption">Over all cycles; the colour tells loading, filling, full and draining.</p>
${occupancySvg(w, f, frames)}
<section><h2>Reproduce</h2><pre>${escapeXml(command)}</pre></section>
<footer>Made by tilewright ${escapeXml(version)}. This page needs no network; its data is inside as JSON.</footer>
</main>
<script type="application/json" id="tilewright-report">${scriptJson(data)}</script>
<script>${ARRAY_SCRIPT}</script>
</body>
</html>
`;
}

const COLOURS = { load: OKABE_ITO[5], fill: OKABE_ITO[4], full: OKABE_ITO[0], drain: OKABE_ITO[1] } as const;

function occupancySvg(w: Watched, f: Folds, frames: readonly Frame[]): string {
  const [width, height] = [900, 120];
  const step = width / f.cycles;
  const all = w.rows * w.cols;
  const bars = occupancyByCycle(w.dataflow, f).map((busy, cycle) => {
    const tall = Math.max(busy > 0 ? 1 : 2, (busy / all) * height);
    const { phase } = frames[cycle]!;
    return `<rect x="${(cycle * step).toFixed(2)}" y="${(height - tall).toFixed(2)}" width="${Math.max(0.5, step - 0.4).toFixed(2)}" height="${tall.toFixed(2)}" fill="${COLOURS[phase]}" data-cycle="${cycle}"><title>cycle ${cycle}: ${busy} of ${all}, ${phase}</title></rect>`;
  });
  const legend = PHASES.filter((phase) => frames.some((frame) => frame.phase === phase)).map(
    (phase) => `<span><i style="background:${COLOURS[phase]}"></i>${phase}</span>`,
  );
  return `<div class="legend">${legend.join('')}</div><svg id="occupancy" viewBox="0 0 ${width} ${height}" role="img" aria-label="elements at work over cycles" preserveAspectRatio="none">${bars.join('')}<line id="mark" x1="0" x2="0" y1="0" y2="${height}"/></svg>`;
}

const ARRAY_STYLE = `
.step{display:flex;gap:10px;align-items:center;margin:10px 0 14px}
.step input{flex:1;accent-color:var(--accent)}
.step button{font:inherit;font-size:13px;border:1px solid #8c959f;background:#fff;border-radius:6px;padding:3px 12px;cursor:pointer}
#array{display:grid;gap:4px;font-size:12px;width:max-content}
#array div{min-width:64px;height:40px;display:flex;align-items:center;justify-content:center;white-space:nowrap;padding:0 6px}
#array .pe{border:1px solid var(--rule);border-radius:4px;color:var(--muted)}
#array .pe.work{background:${COLOURS.full};border-color:${COLOURS.full};color:#fff;font-weight:600}
#array .pe.load{background:#f6e3ee;border-color:${COLOURS.load};color:var(--ink)}
#array .edge{color:#B34700}
#occupancy{width:100%;height:120px;border-bottom:1px solid #8c959f;cursor:pointer}
#mark{stroke:var(--ink);stroke-width:1;vector-effect:non-scaling-stroke}
.legend{display:flex;gap:18px;font-size:12.5px;color:var(--muted);margin:6px 0}
.legend i{display:inline-block;width:11px;height:11px;margin-right:6px;border-radius:2px;vertical-align:-1px}
`;

/** Draws the frame the slider is at; arrow keys step. Texts only, never markup. */
const ARRAY_SCRIPT = `
(() => {
  const data = JSON.parse(document.getElementById('tilewright-report').textContent);
  const by = (id) => document.getElementById(id);
  const grid = by('array'), at = by('at');
  grid.style.gridTemplateColumns = 'repeat(' + (data.cols + 1) + ', auto)';
  const box = (name) => { const e = document.createElement('div'); e.className = name; grid.append(e); return e; };
  box('edge');
  const top = Array.from({ length: data.cols }, () => box('edge'));
  const left = [], cells = [];
  for (let r = 0; r < data.rows; r++) {
    left.push(box('edge'));
    for (let c = 0; c < data.cols; c++) cells.push(box('pe'));
  }
  const show = () => {
    const cycle = Number(at.value), f = data.frames[cycle];
    by('cycle').textContent = cycle;
    by('what').textContent = 'fold ' + f.fold + ', ' + f.phase + ': ' + f.busy + ' of ' + data.rows * data.cols + ' elements work';
    f.top.forEach((t, i) => { top[i].textContent = t ? t + ' \\u2193' : ''; });
    f.left.forEach((t, i) => { left[i].textContent = t ? t + ' \\u2192' : ''; });
    f.cells.forEach((t, i) => {
      cells[i].textContent = t;
      cells[i].className = 'pe ' + (t === '\\u00b7' ? '' : t.startsWith('\\u2193') ? 'load' : 'work');
    });
    by('out').textContent = f.out.length ? 'leaves: ' + f.out.join('  ') : 'nothing leaves';
    const x = (cycle + 0.5) * 900 / data.frames.length;
    by('mark').setAttribute('x1', x);
    by('mark').setAttribute('x2', x);
  };
  const go = (d) => { at.value = Number(at.value) + d; show(); };
  let timer;
  const stop = () => { clearInterval(timer); timer = undefined; by('play').textContent = 'play'; };
  at.addEventListener('input', show);
  by('back').addEventListener('click', () => go(-1));
  by('on').addEventListener('click', () => go(1));
  by('play').addEventListener('click', () => {
    if (timer) return stop();
    if (Number(at.value) === data.frames.length - 1) at.value = 0;
    by('play').textContent = 'pause';
    timer = setInterval(() => { go(1); if (Number(at.value) === data.frames.length - 1) stop(); }, 350);
  });
  by('occupancy').addEventListener('click', (e) => {
    const b = by('occupancy').getBoundingClientRect();
    at.value = Math.floor((e.clientX - b.left) / b.width * data.frames.length);
    show();
  });
  addEventListener('keydown', (e) => {
    if (e.target === at) return;
    if (e.key === 'ArrowRight') go(1);
    if (e.key === 'ArrowLeft') go(-1);
  });
  show();
})();
`;
