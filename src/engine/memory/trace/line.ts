/** One line of a trace as bytes, split at blanks, with numbers and words read without making strings. */
const SPACE = 32;
const TAB = 9;
const CR = 13;
const MAX_TOKENS = 8;

export class Line {
  /** Tokens of the line; -1 when there are more than are kept. */
  tokens = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  private readonly from = new Int32Array(MAX_TOKENS);
  private readonly to = new Int32Array(MAX_TOKENS);

  /** Splits bytes `start` to before `end`. */
  split(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    let n = 0;
    for (let i = start; i < end; ) {
      const c = bytes[i]!;
      if (c === SPACE || c === TAB || c === CR) {
        i++;
        continue;
      }
      if (n === MAX_TOKENS) {
        this.tokens = -1;
        return;
      }
      this.from[n] = i;
      while (i < end) {
        const d = bytes[i]!;
        if (d === SPACE || d === TAB || d === CR) break;
        i++;
      }
      this.to[n++] = i;
    }
    this.tokens = n;
  }

  /** First byte of token `i`. */
  head(i: number): number {
    return this.bytes[this.from[i]!]!;
  }

  /** Whether token `i` is these bytes. */
  is(i: number, word: Uint8Array): boolean {
    const at = this.from[i]!;
    if (this.to[i]! - at !== word.length) return false;
    for (let j = 0; j < word.length; j++) if (this.bytes[at + j] !== word[j]) return false;
    return true;
  }

  text(i: number): string {
    return String.fromCharCode(...this.bytes.subarray(this.from[i]!, Math.min(this.to[i]!, this.from[i]! + 60)));
  }

  /**
   * Token `i` as a whole number below 2^53: hexadecimal after 0x, or else in `base` (10 or 16). -1 when it is none.
   */
  number(i: number, base: number): number {
    const { bytes } = this;
    let at = this.from[i]!;
    const end = this.to[i]!;
    let radix = base;
    if (end - at > 2 && bytes[at] === 48 && (bytes[at + 1]! | 32) === 120) {
      radix = 16;
      at += 2;
    }
    let value = 0;
    for (; at < end; at++) {
      const c = bytes[at]!;
      let digit: number;
      if (c >= 48 && c <= 57) digit = c - 48;
      else if (radix === 16 && (c | 32) >= 97 && (c | 32) <= 102) digit = (c | 32) - 87;
      else return -1;
      value = value * radix + digit;
    }
    return value <= Number.MAX_SAFE_INTEGER ? value : -1;
  }
}
