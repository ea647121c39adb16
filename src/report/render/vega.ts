/** Charts → Vega specifications and SVG. vega and vega-lite are heavy: they load when the first chart is drawn. */
import type { Spec } from 'vega';
import type { Chart } from '../charts/chart.js';
import { advances, type Weight } from './font.js';

let loaded: Promise<{ vega: typeof import('vega'); lite: typeof import('vega-lite') }> | undefined;

function load() {
  loaded ??= Promise.all([import('vega'), import('vega-lite')]).then(([vega, lite]) => {
    // there is no canvas to measure text with: measure with the pinned font
    (vega as unknown as { textMetrics: { width: typeof measure } }).textMetrics.width = measure;
    return { vega, lite };
  });
  return loaded;
}

interface TextItem {
  fontSize?: number;
  fontWeight?: number | string;
  limit?: number;
}

function measure(item: TextItem, text: unknown): number {
  const weight: Weight = item.fontWeight === 'bold' || Number(item.fontWeight) >= 600 ? 600 : 400;
  return textWidth(text == null ? '' : String(text), item.fontSize ?? 11, weight);
}

/** Width in pixels, in the pinned font. */
export function textWidth(text: string, size: number, weight: Weight = 400): number {
  const advance = advances(weight);
  let width = 0;
  for (const character of text) width += advance(character);
  return width * size;
}

/** The Vega specification of `chart`; `warn` hears what vega-lite has to say. */
export async function compileChart(chart: Chart, warn: (message: string) => void = () => {}): Promise<Spec> {
  const { lite } = await load();
  const logger = {
    level: () => logger,
    error: (...args: readonly unknown[]) => {
      warn(args.join(' '));
      return logger;
    },
    warn: (...args: readonly unknown[]) => {
      warn(args.join(' '));
      return logger;
    },
    info: () => logger,
    debug: () => logger,
  };
  return lite.compile(chart.spec, { logger }).spec;
}

/** A standalone SVG of `chart`. */
export async function chartSvg(chart: Chart, warn?: (message: string) => void): Promise<string> {
  const { vega } = await load();
  const view = new vega.View(vega.parse(await compileChart(chart, warn)), { renderer: 'none' });
  try {
    return ownIds(await view.toSVG(), chart.id);
  } finally {
    view.finalize();
  }
}

/** vega numbers clip paths over the life of the process: number them anew, unique in a page of several charts. */
function ownIds(svg: string, chart: string): string {
  const numbers = new Map<string, string>();
  return svg.replace(/(\bid="|url\(#)((?:clip|gradient)[\w-]*)/g, (_, before: string, id: string) => {
    if (!numbers.has(id)) numbers.set(id, `${chart}-${numbers.size}`);
    return before + numbers.get(id);
  });
}
