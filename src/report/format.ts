/** Numbers for readers: three significant digits, SI prefixes, thousands in groups. One place, so that page, table and terminal agree. */

const PREFIXES: readonly (readonly [number, string])[] = [
  [1e18, 'E'],
  [1e15, 'P'],
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
  [1e-3, 'm'],
  [1e-6, 'µ'],
  [1e-9, 'n'],
  [1e-12, 'p'],
];

/** Units that take prefixes, alone or as the numerator of a quotient; FLOP/B stays as it is, being read off axes. */
const PREFIXED = new Set(['s', 'J', 'W', 'B', 'Hz', 'FLOP', 'OP', 'MAC']);
const WHOLE = new Set(['B', 'FLOP', 'OP', 'MAC', 'Hz']);

/** `value` in base unit `unit`, e.g. (0.0123, 's') → "12.3 ms"; ('', fractions) plain; a non-finite one is "–". */
export function quantity(value: number, unit: string, digits = 3): string {
  const [number, shown] = split(value, unit, digits);
  return shown ? `${number} ${shown}` : number;
}

/** The number and the unit apart, for layouts that set them differently. */
export function split(value: number, unit: string, digits = 3): [number: string, unit: string] {
  if (!Number.isFinite(value)) return ['–', ''];
  if (unit === '%') return [percentNumber(value, digits), '%'];
  const numerator = unit.split('/')[0]!;
  if (!PREFIXED.has(numerator) || unit === 'FLOP/B') return [plain(value, digits), unit];
  const scale = scaleOf(value, unit, digits);
  return [plain(value / scale.factor, digits), scale.unit];
}

export interface Scale {
  /** Divide by this. */
  readonly factor: number;
  readonly unit: string;
}

/** The prefix in which `value` reads between 1 and 1000, for one number or (given the largest) for an axis. */
export function scaleOf(value: number, unit: string, digits = 3): Scale {
  const numerator = unit.split('/')[0]!;
  if (value === 0 || !Number.isFinite(value) || !PREFIXED.has(numerator) || unit === 'FLOP/B')
    return { factor: 1, unit };
  // rounded first: 999.96 µs is 1 ms
  const size = Math.abs(Number(value.toPrecision(digits)));
  const least = WHOLE.has(numerator) ? 1 : 1e-12;
  const usable = PREFIXES.filter(([factor]) => factor >= least);
  const [factor, prefix] = usable.find(([f]) => size >= f * (1 - 1e-9)) ?? usable.at(-1)!;
  return { factor, unit: prefix + unit };
}

/** Three significant digits; whole numbers and thousands in full, with groups: 12,345. */
export function plain(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e15 || size < 1e-4) return value.toExponential(digits - 1);
  if (Number.isInteger(value) || size >= 10 ** digits) return group(Math.round(value));
  const text = value.toPrecision(digits);
  // three digits always, so that columns read alike; more are there to be exact
  return digits > 4 ? String(Number(text)) : text;
}

function group(whole: number): string {
  return String(whole).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A fraction as per cent: 0.7423 → "74.2 %". */
export function percent(fraction: number, digits = 3): string {
  const number = percentNumber(fraction, digits);
  return number === '–' ? number : `${number} %`;
}

function percentNumber(fraction: number, digits: number): string {
  if (!Number.isFinite(fraction)) return '–';
  const value = fraction * 100;
  if (value !== 0 && Math.abs(value) < 0.1) return '<0.1';
  return Math.abs(value) >= 100 || digits < 3 ? String(Math.round(value)) : value.toFixed(1);
}

/** A setting of any size: 132, 0.92, "3.35 T". */
export function compact(value: number): string {
  if (!Number.isFinite(value) || Math.abs(value) < 1e6) return plain(value, 6);
  const [factor, prefix] = PREFIXES.find(([f]) => Math.abs(value) >= f)!;
  return `${plain(value / factor, 6)} ${prefix}`;
}

/** Ratio for comparisons: "1.43×". */
export function times(ratio: number): string {
  return Number.isFinite(ratio) ? `${ratio >= 1000 ? plain(ratio) : ratio.toPrecision(3)}×` : '–';
}
