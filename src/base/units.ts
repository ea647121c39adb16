/**
 * Quantities with units, read once at the edge: "40 MiB", "1.41 GHz", "3.35 TB/s", "14 Gbps", "1.59 pJ/bit".
 * Each physical dimension has its base unit (what numbers mean inside the program) and the spellings it accepts.
 * Prefixes: k M G T P are powers of 1000 (KB counts as kB), Ki Mi Gi Ti Pi of 1024. `b` and `bit` are bits, `B` bytes.
 */
import { InputError } from './errors.js';

const SI: Record<string, number> = { k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 };
const SMALL: Record<string, number> = { m: 1e-3, u: 1e-6, µ: 1e-6, μ: 1e-6, n: 1e-9, p: 1e-12, f: 1e-15 };
const BINARY: Record<string, number> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50 };
const LARGE = { ...SI, ...BINARY };

interface Dimension {
  /** Unit of the plain numbers inside the program. */
  readonly base: string;
  /** What a reader is told to expect. */
  readonly noun: string;
  readonly example: string;
  /** Spelling → value in the base unit. */
  readonly units: ReadonlyMap<string, number>;
  /** Spellings that `formatQuantity` picks from, small to large. */
  readonly show: readonly string[];
}

/** Every `symbol` with every prefix, `scale` being one of the symbol in base units. */
function spell(symbols: Record<string, number>, prefixes: Record<string, number>): [string, number][] {
  const out: [string, number][] = [];
  for (const [symbol, scale] of Object.entries(symbols)) {
    out.push([symbol, scale]);
    for (const [prefix, factor] of Object.entries(prefixes)) out.push([prefix + symbol, factor * scale]);
  }
  return out;
}

function dimension(
  base: string,
  noun: string,
  example: string,
  show: readonly string[],
  units: [string, number][],
): Dimension {
  return { base, noun, example, units: new Map(units), show };
}

const OPS = { 'FLOP/s': 1, FLOPS: 1, 'OP/s': 1, OPS: 1 };

export const DIMENSIONS = {
  bytes: dimension(
    'B',
    'an amount of data',
    '40 MiB',
    ['B', 'KiB', 'MiB', 'GiB', 'TiB'],
    spell({ B: 1, bit: 1 / 8, b: 1 / 8 }, LARGE),
  ),
  bandwidth: dimension(
    'B/s',
    'a bandwidth',
    '3.35 TB/s',
    ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s'],
    spell({ 'B/s': 1, Bps: 1, 'b/s': 1 / 8, 'bit/s': 1 / 8, bps: 1 / 8 }, LARGE),
  ),
  bytes_per_cycle: dimension(
    'B/cycle',
    'bytes per clock cycle',
    '64 B/cycle',
    ['B/cycle'],
    [
      ['B/cycle', 1],
      ['B/clk', 1],
      ['kB/cycle', 1e3],
      ['kB/clk', 1e3],
    ],
  ),
  frequency: dimension('Hz', 'a frequency', '1.41 GHz', ['Hz', 'kHz', 'MHz', 'GHz'], spell({ Hz: 1 }, SI)),
  time: dimension(
    's',
    'a time',
    '1.9 us',
    ['ps', 'ns', 'us', 'ms', 's'],
    [...spell({ s: 1 }, SMALL), ['min', 60], ['h', 3600]],
  ),
  power: dimension('W', 'a power', '400 W', ['mW', 'W', 'kW', 'MW'], spell({ W: 1 }, { ...SI, ...SMALL })),
  energy: dimension(
    'J',
    'an energy',
    '2.5 mJ',
    ['pJ', 'nJ', 'uJ', 'mJ', 'J', 'kJ', 'MJ'],
    [...spell({ J: 1 }, { ...SI, ...SMALL }), ['Wh', 3600], ['kWh', 3.6e6]],
  ),
  energy_per_action: dimension(
    'pJ',
    'an energy per action',
    '0.7 pJ',
    ['fJ', 'pJ', 'nJ'],
    [
      ['fJ', 1e-3],
      ['pJ', 1],
      ['nJ', 1e3],
    ],
  ),
  energy_per_byte: dimension(
    'pJ/B',
    'an energy per byte',
    '4.7 pJ/bit',
    ['fJ/B', 'pJ/B', 'nJ/B'],
    [
      ['fJ/B', 1e-3],
      ['fJ/bit', 8e-3],
      ['pJ/B', 1],
      ['pJ/bit', 8],
      ['pJ/b', 8],
      ['nJ/B', 1e3],
      ['nJ/bit', 8e3],
    ],
  ),
  area: dimension(
    'mm²',
    'an area',
    '826 mm²',
    ['um²', 'mm²', 'cm²'],
    [
      ['mm²', 1],
      ['mm2', 1],
      ['um²', 1e-6],
      ['um2', 1e-6],
      ['µm²', 1e-6],
      ['cm²', 100],
      ['cm2', 100],
      ['m²', 1e6],
      ['m2', 1e6],
    ],
  ),
  price: dimension(
    'USD',
    'a price',
    '12000 USD',
    ['USD'],
    [
      ['USD', 1],
      ['$', 1],
      ['kUSD', 1e3],
    ],
  ),
  flops: dimension(
    'FLOP/s',
    'a rate of operations',
    '312 TFLOP/s',
    ['FLOP/s', 'kFLOP/s', 'MFLOP/s', 'GFLOP/s', 'TFLOP/s', 'PFLOP/s'],
    spell(OPS, SI),
  ),
  cycles: dimension(
    'cycles',
    'clock cycles',
    '24 cycles',
    ['cycles'],
    [
      ['cycles', 1],
      ['cycle', 1],
      ['clk', 1],
    ],
  ),
  per_cycle: dimension(
    '/cycle',
    'a rate per clock cycle',
    '64 /cycle',
    ['/cycle'],
    [
      ['/cycle', 1],
      ['/clk', 1],
    ],
  ),
  count: dimension('', 'a plain number', '108', [''], [['', 1]]),
  ratio: dimension(
    '',
    'a fraction',
    '0.92" or "92 %',
    ['%'],
    [
      ['', 1],
      ['%', 0.01],
    ],
  ),
} as const satisfies Record<string, Dimension>;

export type DimensionName = keyof typeof DIMENSIONS;
export const DIMENSION_NAMES = Object.keys(DIMENSIONS) as DimensionName[];

const QUANTITY = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$/u;

/** The base unit of a dimension, for labels: "B/s". */
export function baseUnit(name: DimensionName): string {
  return DIMENSIONS[name].base;
}

/**
 * The value of `text` in the base unit of `name`. A text without a unit is already in the base unit.
 * @throws InputError naming the expected unit when it is no number, of another dimension, or not finite.
 */
export function parseQuantity(text: string, name: DimensionName, place?: string): number {
  const dim: Dimension = DIMENSIONS[name];
  const match = QUANTITY.exec(text);
  if (!match) throw new InputError(`${quoted(text)} is not ${dim.noun}; ${expected(dim)}`, place);
  const unit = match[2]!;
  const scale = unit === '' ? 1 : dim.units.get(unit);
  if (scale === undefined) throw new InputError(`${wrongUnit(text, unit, dim)}; ${expected(dim)}`, place);
  const value = Number(match[1]) * scale;
  if (!Number.isFinite(value)) throw new InputError(`${quoted(text)} is too large for a number`, place);
  return value;
}

function expected(dim: Dimension): string {
  return `expected ${dim.noun}${dim.base ? ` in ${dim.base}` : ''}, e.g. "${dim.example}"`;
}

function quoted(text: string): string {
  return `'${text.length > 60 ? `${text.slice(0, 57)}…` : text}'`;
}

function wrongUnit(text: string, unit: string, dim: Dimension): string {
  const slip = [...dim.units.keys()].filter((u) => u.toLowerCase() === unit.toLowerCase());
  if (slip.length > 0)
    return `unknown unit in ${quoted(text)}; did you mean ${slip.map((u) => `'${u}'`).join(' or ')}?`;
  for (const other of Object.values<Dimension>(DIMENSIONS))
    if (other.units.has(unit)) return `${quoted(text)} is ${other.noun}`;
  return `unknown unit '${unit.length > 20 ? `${unit.slice(0, 17)}…` : unit}' in ${quoted(text)}`;
}

/** For readers: "40 MiB", "1.41 GHz", "92 %"; `digits` significant digits. */
export function formatQuantity(value: number, name: DimensionName, digits = 4): string {
  const dim: Dimension = DIMENSIONS[name];
  if (!Number.isFinite(value)) return String(value);
  let unit = dim.show[0]!;
  for (const candidate of dim.show) {
    // one that reads at least 1 after rounding; zero keeps the base unit
    if (value === 0 ? dim.units.get(candidate) === 1 : Math.abs(value) / dim.units.get(candidate)! >= 1 - 1e-12)
      unit = candidate;
  }
  const text = trim(value / dim.units.get(unit)!, digits);
  return unit === '' ? text : `${text} ${unit}`;
}

/** `digits` significant digits without trailing zeros; whole numbers below 10^15 in full. */
function trim(value: number, digits: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  return String(Number(value.toPrecision(digits)));
}
