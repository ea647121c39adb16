/** Forms of address traces, one line a request (or a load and a store). */
import type { Line } from './line.js';

/** Called with each request; `cycle` is -1 where the form has no times. */
export type RequestSink = (address: number, write: boolean, cycle: number) => void;

/** Address of a place that is given level by level: channel, rank, bank group, bank, row, column. */
export type PlaceToAddress = (place: readonly number[]) => number | string;

/** What a form may need beside the line. */
export interface FormatContext {
  /** Cycles so far, of forms that count them. */
  clock: number;
  readonly address?: PlaceToAddress;
}

export interface TraceFormatDefinition {
  /** For messages: what a line looks like. */
  readonly shape: string;
  /** Whether the first line of a trace looks like one of this form. */
  readonly matches: (line: Line) => boolean;
  /** Hands the line's requests on; what is wrong with it, or undefined. */
  readonly read: (line: Line, sink: RequestSink, context: FormatContext) => string | undefined;
}

const READ = 0;
const WRITE = 1;
const OTHER = -1;

/** Spellings of an operation; DRAMsim3 counts P_MEM_WR and BOFF as writes and any other word as a read. */
const OPERATIONS = new Map<string, number>([
  ...['READ', 'read', 'R', 'r', 'LD', 'P_MEM_RD', 'P_FETCH', 'P_LOCK_RD', 'P_LOCK_WR'].map((w) => [w, READ] as const),
  ...['WRITE', 'write', 'W', 'w', 'ST', 'P_MEM_WR', 'BOFF'].map((w) => [w, WRITE] as const),
]);

/** The usual words, compared without making a text. */
const READ_BYTES = Uint8Array.from('READ', (c) => c.charCodeAt(0));
const WRITE_BYTES = Uint8Array.from('WRITE', (c) => c.charCodeAt(0));

function operation(line: Line, i: number): number {
  const head = line.head(i);
  // a digit starts no word
  if (head >= 48 && head <= 57) return OTHER;
  if (line.is(i, READ_BYTES)) return READ;
  if (line.is(i, WRITE_BYTES)) return WRITE;
  return OPERATIONS.get(line.text(i)) ?? OTHER;
}

const numberAt = (what: string, line: Line, i: number, base: string): string =>
  `${what}: expected a ${base} number below 2^53, got '${line.text(i)}'`;

export const TRACE_FORMATS = {
  dramsim3: {
    shape: 'ADDRESS READ|WRITE CYCLE, the address hexadecimal',
    matches: (line) => line.tokens === 3 && operation(line, 1) !== OTHER,
    read(line, sink) {
      if (line.tokens !== 3) return 'expected three words';
      const address = line.number(0, 16);
      if (address < 0) return numberAt('address', line, 0, 'hexadecimal');
      const op = operation(line, 1);
      if (op === OTHER) return `expected READ or WRITE, got '${line.text(1)}'`;
      const cycle = line.number(2, 10);
      if (cycle < 0) return numberAt('cycle', line, 2, 'whole');
      sink(address, op === WRITE, cycle);
      return undefined;
    },
  },
  ramulator_loadstore: {
    shape: 'LD|ST ADDRESS',
    matches: (line) => line.tokens === 2 && (line.text(0) === 'LD' || line.text(0) === 'ST'),
    read(line, sink) {
      const op = line.tokens === 2 ? operation(line, 0) : OTHER;
      if (op === OTHER) return line.tokens === 2 ? `expected LD or ST, got '${line.text(0)}'` : 'expected two words';
      const address = line.number(1, 10);
      if (address < 0) return numberAt('address', line, 1, 'whole');
      sink(address, op === WRITE, -1);
      return undefined;
    },
  },
  ramulator_readwrite: {
    shape: 'R|W CHANNEL,RANK,BANKGROUP,BANK,ROW,COLUMN',
    matches: (line) => line.tokens === 2 && operation(line, 0) !== OTHER && line.text(1).includes(','),
    read(line, sink, { address }) {
      const op = line.tokens === 2 ? operation(line, 0) : OTHER;
      if (op === OTHER) return line.tokens === 2 ? `expected R or W, got '${line.text(0)}'` : 'expected two words';
      const place = line.text(1).split(',').map(Number);
      if (place.length !== 6 || !place.every((n) => Number.isSafeInteger(n) && n >= 0))
        return `expected six whole numbers with commas between, got '${line.text(1)}'`;
      const found = address?.(place) ?? 'places of this form need a DRAM';
      if (typeof found === 'string') return found;
      sink(found, op === WRITE, -1);
      return undefined;
    },
  },
  ramulator_instructions: {
    shape: 'BUBBLES LOAD [STORE], decimal; each bubble is taken as a cycle without a request',
    matches: (line) =>
      (line.tokens === 2 || line.tokens === 3) &&
      Array.from({ length: line.tokens }, (_, i) => line.number(i, 10)).every((n) => n >= 0),
    read(line, sink, context) {
      if (line.tokens !== 2 && line.tokens !== 3) return 'expected two or three numbers';
      const bubbles = line.number(0, 10);
      if (bubbles < 0) return numberAt('bubbles', line, 0, 'whole');
      const load = line.number(1, 10);
      if (load < 0) return numberAt('load address', line, 1, 'whole');
      context.clock += bubbles;
      sink(load, false, context.clock);
      if (line.tokens === 2) return undefined;
      const store = line.number(2, 10);
      if (store < 0) return numberAt('store address', line, 2, 'whole');
      sink(store, true, context.clock);
      return undefined;
    },
  },
  plain: {
    shape: 'ADDRESS, or ADDRESS R|W, or R|W ADDRESS; decimal, or hexadecimal after 0x',
    matches: (line) => line.tokens === 1 || line.tokens === 2,
    read(line, sink) {
      if (line.tokens === 1) {
        const address = line.number(0, 10);
        if (address < 0) return numberAt('address', line, 0, 'whole (hexadecimal after 0x)');
        sink(address, false, -1);
        return undefined;
      }
      if (line.tokens !== 2) return 'expected an address, and R or W beside it';
      const first = operation(line, 0);
      const op = first === OTHER ? operation(line, 1) : first;
      if (op === OTHER) return `expected R or W beside the address, got '${line.text(1)}'`;
      const i = first === OTHER ? 0 : 1;
      const address = line.number(i, 10);
      if (address < 0) return numberAt('address', line, i, 'whole (hexadecimal after 0x)');
      sink(address, op === WRITE, -1);
      return undefined;
    },
  },
} as const satisfies Record<string, TraceFormatDefinition>;

export type TraceFormat = keyof typeof TRACE_FORMATS;
export const TRACE_FORMAT_NAMES = Object.keys(TRACE_FORMATS) as TraceFormat[];
