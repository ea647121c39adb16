/** A SCALE-Sim topology: a layer a line, as convolutions or as products (M, N, K). */
import { csvParseRows } from 'd3-dsv';
import { InputError } from '../../base/errors.js';
import { denseProduct, type Product } from '../../engine/systolic/dataflow.js';

export interface Layer {
  readonly name: string;
  readonly product: Product;
}

/** Addresses are whole numbers of 32 bit. */
const MOST_WORDS = 2 ** 31 - 1;

const CONV_COLUMNS = [
  'layer',
  'input height',
  'input width',
  'filter height',
  'filter width',
  'channels',
  'filters',
  'stride',
];

/**
 * Layers in order. The first line names the columns and tells which of the two forms it is.
 * @throws InputError with FILE:LINE
 */
export function parseTopology(text: string, file: string): Layer[] {
  const rows = csvParseRows(text);
  const head = rows[0];
  if (!head) throw new InputError('the file is empty', file);
  const columns = head.map((c) => c.trim().toLowerCase()).filter((c) => c !== '');
  const products = columns[1] === 'm' && columns[2] === 'n' && columns[3] === 'k';
  if (!products && columns.length < CONV_COLUMNS.length)
    throw new InputError(
      `its columns are ${columns.join(', ') || 'none'}; expected a name with M, N, K, or ${CONV_COLUMNS.join(', ')}`,
      `${file}:1`,
    );
  const layers: Layer[] = [];
  rows.slice(1).forEach((row, i) => {
    const place = `${file}:${i + 2}`;
    if (row.every((cell) => cell.trim() === '')) return;
    const name = row[0]!.trim();
    const size = (column: number, what: string): number => {
      const n = Number(row[column]?.trim() || Number.NaN);
      if (!Number.isInteger(n) || n < 1)
        throw new InputError(`${what} of '${name}' is '${row[column] ?? ''}': expected a whole number ≥ 1`, place);
      return n;
    };
    const fits = (words: number, what: string): void => {
      if (words > MOST_WORDS)
        throw new InputError(`${what} of '${name}' holds ${words} words; at most ${MOST_WORDS} are taken`, place);
    };
    if (products) {
      fits(size(1, 'M') * size(3, 'K'), 'the input');
      fits(size(3, 'K') * size(2, 'N'), 'the filter');
      layers.push({ name, product: denseProduct(size(1, 'M'), size(2, 'N'), size(3, 'K')) });
      return;
    }
    const conv = {
      height: size(1, 'input height'),
      width: size(2, 'input width'),
      filter_height: size(3, 'filter height'),
      filter_width: size(4, 'filter width'),
      channels: size(5, 'channels'),
      filters: size(6, 'filters'),
      stride: size(7, 'stride'),
    };
    if (conv.filter_height > conv.height || conv.filter_width > conv.width)
      throw new InputError(`the filter of '${name}' is larger than its input`, place);
    fits(conv.height * conv.width * conv.channels, 'the input');
    fits(conv.filter_height * conv.filter_width * conv.channels * conv.filters, 'the filter');
    // a depth-wise layer is one of a single channel for each of its channels
    if (name.includes('DP'))
      for (let c = 0; c < conv.channels; c++)
        layers.push({ name: `${name}Channel_${c}`, product: unfolded({ ...conv, channels: 1 }) });
    else layers.push({ name, product: unfolded(conv) });
  });
  if (layers.length === 0) throw new InputError('it holds no layer', file);
  return layers;
}

interface Convolution {
  readonly height: number;
  readonly width: number;
  readonly filter_height: number;
  readonly filter_width: number;
  readonly channels: number;
  readonly filters: number;
  readonly stride: number;
}

/** Output pixels × window, with the input's own addresses: windows that overlap ask for the same words. */
function unfolded(c: Convolution): Product {
  const across = Math.ceil((c.width - c.filter_width + c.stride) / c.stride);
  const down = Math.ceil((c.height - c.filter_height + c.stride) / c.stride);
  const row = c.filter_width * c.channels;
  return {
    m: across * down,
    n: c.filters,
    k: c.filter_height * row,
    a(pixel, at) {
      const y = Math.floor(pixel / across) * c.stride + Math.floor(at / row);
      const x = (pixel % across) * c.stride + Math.floor((at % row) / c.channels);
      return y < c.height && x < c.width ? (y * c.width + x) * c.channels + (at % c.channels) : -1;
    },
    b: (at, filter) => at * c.filters + filter,
    words: { a: c.height * c.width * c.channels, b: c.filter_height * row * c.filters },
  };
}
