/** A trace read piece by piece: bytes come in, requests go out. Blank lines and lines from # on are left out. */
import { InputError } from '../../../base/errors.js';
import {
  type FormatContext,
  type PlaceToAddress,
  type RequestSink,
  TRACE_FORMAT_NAMES,
  TRACE_FORMATS,
  type TraceFormat,
  type TraceFormatDefinition,
} from './formats.js';
import { Line } from './line.js';

const NEWLINE = 10;
const HASH = 35;
/** A line longer than this is no line of a trace. */
const LONGEST = 4096;

export interface TraceReaderOptions {
  /** For messages. */
  readonly file: string;
  /** Told from the first line when absent. */
  readonly format?: TraceFormat;
  readonly address?: PlaceToAddress;
}

export class TraceReader {
  /** Known once the first line was read. */
  format: TraceFormat | undefined;
  /** Lines read. */
  lines = 0;
  private readonly line = new Line();
  private readonly context: FormatContext;
  private definition: TraceFormatDefinition | undefined;
  private carried = new Uint8Array(0);

  constructor(
    private readonly options: TraceReaderOptions,
    private readonly sink: RequestSink,
  ) {
    this.context = { clock: 0, ...(options.address && { address: options.address }) };
    this.format = options.format;
    if (options.format) this.definition = TRACE_FORMATS[options.format];
  }

  /** @throws InputError with FILE:LINE at the first line that is not of the form. */
  push(chunk: Uint8Array): void {
    let start = 0;
    if (this.carried.length > 0) {
      const end = chunk.indexOf(NEWLINE);
      if (end < 0) {
        this.carry(chunk, 0);
        return;
      }
      this.carry(chunk.subarray(0, end), 0);
      const whole = this.carried;
      this.carried = new Uint8Array(0);
      this.read(whole, 0, whole.length);
      start = end + 1;
    }
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.read(chunk, start, end);
      start = end + 1;
    }
    if (start < chunk.length) this.carry(chunk, start);
  }

  /** The last line may lack its end. */
  end(): void {
    const { carried } = this;
    this.carried = new Uint8Array(0);
    if (carried.length > 0) this.read(carried, 0, carried.length);
  }

  private carry(chunk: Uint8Array, start: number): void {
    const grown = new Uint8Array(this.carried.length + chunk.length - start);
    if (grown.length > LONGEST)
      throw new InputError(
        `a line of more than ${LONGEST} bytes: is this a trace?`,
        `${this.options.file}:${this.lines + 1}`,
      );
    grown.set(this.carried);
    grown.set(chunk.subarray(start), this.carried.length);
    this.carried = grown;
  }

  private read(bytes: Uint8Array, start: number, end: number): void {
    this.lines++;
    const { line } = this;
    line.split(bytes, start, end);
    if (line.tokens === 0 || line.head(0) === HASH) return;
    this.definition ??= this.detect();
    const wrong = this.definition.read(line, this.sink, this.context);
    if (wrong !== undefined)
      throw new InputError(
        `${wrong} (a line of form ${this.format} is ${this.definition.shape})`,
        `${this.options.file}:${this.lines}`,
      );
  }

  private detect(): TraceFormatDefinition {
    this.format = TRACE_FORMAT_NAMES.find((name) => TRACE_FORMATS[name].matches(this.line));
    if (this.format) return TRACE_FORMATS[this.format];
    const known = TRACE_FORMAT_NAMES.map((name) => `${name} (${TRACE_FORMATS[name].shape})`).join('; ');
    throw new InputError(`not a line of any known form: ${known}`, `${this.options.file}:${this.lines}`);
  }
}
