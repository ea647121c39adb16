/** Integer arithmetic as WGSL text, with constants folded, so that shaders read as a person would write them. */
export type Term = number | string;

const compound = (t: string): boolean => / [-+] /.test(stripped(t));
/** The text without what stands in brackets, where operators bind anyway. */
function stripped(t: string): string {
  let depth = 0;
  let out = '';
  for (const c of t) {
    if (c === '(' || c === '[') depth++;
    if (depth === 0) out += c;
    if (c === ')' || c === ']') depth--;
  }
  return out;
}
const product = (t: Term): string => {
  if (typeof t === 'number') return t < 0 ? `(${t})` : `${t}`;
  return compound(t) || / [/%]|>>|<</.test(stripped(t)) ? `(${t})` : t;
};
const summand = (t: Term): string =>
  typeof t === 'number' && t < 0 ? `(${t})` : />>|<<|[<>=&|?]/.test(stripped(`${t}`)) ? `(${t})` : `${t}`;

export function sum(...terms: readonly Term[]): Term {
  let constant = 0;
  const parts: string[] = [];
  for (const t of terms) {
    if (typeof t === 'number') constant += t;
    else parts.push(summand(t));
  }
  if (parts.length === 0) return constant;
  if (constant < 0) return `${parts.join(' + ')} - ${-constant}`;
  return constant > 0 ? `${parts.join(' + ')} + ${constant}` : parts.join(' + ');
}
export function minus(a: Term, b: Term): Term {
  if (typeof b === 'number') return sum(a, -b);
  return `${typeof a === 'number' ? a : summand(a)} - ${compound(b) ? `(${b})` : summand(b)}`;
}
export function times(a: Term, b: Term): Term {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  if (a === 0 || b === 0) return 0;
  if (a === 1) return b;
  if (b === 1) return a;
  const scaled = typeof a === 'string' && typeof b === 'number' ? /^(\w+) \* (\d+)$/.exec(a) : null;
  if (scaled) return times(scaled[1]!, Number(scaled[2]) * (b as number));
  return `${product(a)} * ${product(b)}`;
}
/** Floor division of what is not negative. */
export function over(a: Term, b: Term): Term {
  if (typeof a === 'number' && typeof b === 'number') return Math.floor(a / b);
  return b === 1 ? a : `${product(a)} / ${typeof b === 'string' && /[ ]/.test(stripped(b)) ? `(${b})` : product(b)}`;
}
/** Remainder of what is not negative. */
export function rest(a: Term, b: Term): Term {
  if (typeof a === 'number' && typeof b === 'number') return a - b * Math.floor(a / b);
  return b === 1 ? 0 : `${product(a)} % ${typeof b === 'string' && /[ ]/.test(stripped(b)) ? `(${b})` : product(b)}`;
}
