/** `tilewright array`: a matrix product on a small systolic array, cycle by cycle, in the terminal or as a page. */
import { emitKeypressEvents } from 'node:readline';
import { type Static, Type } from '@sinclair/typebox';
import { type Command, Option } from 'commander';
import { InputError } from '../../base/errors.js';
import { DATAFLOWS, type Dataflow, foldsOf, utilisationOf } from '../../engine/systolic/dataflow.js';
import { frameAt, occupancyByCycle } from '../../engine/systolic/frames.js';
import { arrayHtml, framesOf, frameText, utilisationSentence, type Watched } from '../../report/array.js';
import { writeOutput } from '../io.js';
import { type CommonOptions, common } from '../options.js';
import { emit, type Result } from '../output.js';
import { parseAssignments } from '../pins.js';
import { bold } from '../style.js';
import { VERSION } from '../version.js';

interface Options extends CommonOptions {
  readonly shape: string;
  readonly size: string;
  readonly dataflow: Dataflow;
  readonly cycles?: string;
}

/** Elements × cycles that a person could still look at. */
const MOST = 200_000;

export const ArraySchema = Type.Object({
  rows: Type.Integer(),
  cols: Type.Integer(),
  dataflow: Type.String(),
  m: Type.Integer(),
  n: Type.Integer(),
  k: Type.Integer(),
  cycles: Type.Integer({ minimum: 1 }),
  cycles_per_fold: Type.Integer({ minimum: 1 }),
  utilisation: Type.Number(),
  busy: Type.Array(Type.Integer(), { description: 'elements that work, cycle by cycle' }),
  frames: Type.Array(Type.Unknown(), { description: 'what each element does in the cycles asked for' }),
});

export function define(command: Command): void {
  common(command)
    .option('--shape <key=value,…>', 'the product: m, n and k', 'm=6,n=4,k=5')
    .option('--size <rows>x<cols>', 'elements of the array', '4x4')
    .addOption(
      new Option('--dataflow <name>', 'what stays in place: outputs, weights or inputs')
        .choices(DATAFLOWS)
        .default('ws'),
    )
    .option('--cycles <from..to>', 'these cycles only (default: all; in a terminal, one at a time)')
    .addHelpText('after', '\nWith -o FILE.html it is a page with a slider.')
    .action(async (options: Options) => {
      const watched = watchedOf(options);
      const f = foldsOf(watched.dataflow, watched.product, watched.rows, watched.cols);
      if (f.cycles * watched.rows * watched.cols > MOST)
        throw new InputError(
          `${watched.rows} × ${watched.cols} elements over ${f.cycles} cycles are too many to watch (at most ${MOST.toLocaleString('en-US')} of both); take a smaller array or product`,
          'array',
        );
      if (/\.html?$/i.test(options.out ?? '')) {
        writeOutput(options.out!, arrayHtml(watched, VERSION, commandOf(options)));
        return;
      }
      const [from, to] = rangeOf(options.cycles, f.cycles);
      const look = process.stdin.isTTY && process.stdout.isTTY && !options.out && !options.json && !options.cycles;
      if (look) return step(watched, f.cycles);
      const { product, ...array } = watched;
      const result: Result = {
        json: (): Static<typeof ArraySchema> => ({
          rows: array.rows,
          cols: array.cols,
          dataflow: array.dataflow,
          ...product,
          cycles: f.cycles,
          cycles_per_fold: f.cycles_per_fold,
          utilisation: utilisationOf(f),
          busy: occupancyByCycle(watched.dataflow, f),
          frames: framesOf(watched, from, to),
        }),
        text: () =>
          [bold(utilisationSentence(watched)), ...framesOf(watched, from, to).map((x) => frameText(watched, x))].join(
            '\n\n',
          ),
      };
      await emit(options, result, 'text, JSON or a page (.html)');
    });
}

function watchedOf(options: Options): Watched {
  const { m, n, k, ...others } = parseAssignments(options.shape, `--shape ${options.shape}`);
  const other = Object.keys(others)[0];
  if (other !== undefined) throw new InputError(`'${other}' is not of a product; expected m, n, k`, '--shape');
  if (!m || !n || !k) throw new InputError('expected m=…,n=…,k=…, each at least 1', `--shape ${options.shape}`);
  const size = /^(\d+)x(\d+)$/.exec(options.size);
  if (!size) throw new InputError(`'${options.size}': expected ROWSxCOLS, such as 4x4`, '--size');
  return {
    name: 'Systolic array',
    dataflow: options.dataflow,
    product: { m, n, k },
    rows: Number(size[1]),
    cols: Number(size[2]),
  };
}

function rangeOf(text: string | undefined, cycles: number): [number, number] {
  if (text === undefined) return [0, cycles - 1];
  const range = /^(\d+)(?:\.\.(\d+))?$/.exec(text);
  const from = Number(range?.[1]);
  const to = Number(range?.[2] ?? range?.[1]);
  if (!range || from > to || to >= cycles)
    throw new InputError(`'${text}': expected FROM..TO within 0..${cycles - 1}`, '--cycles');
  return [from, to];
}

const commandOf = (o: Options): string =>
  `tilewright array --size ${o.size} --dataflow ${o.dataflow} --shape ${o.shape} -o ${o.out}`;

/** One cycle at a time, until q. */
function step(watched: Watched, cycles: number): Promise<void> {
  const f = foldsOf(watched.dataflow, watched.product, watched.rows, watched.cols);
  let cycle = 0;
  const draw = (): void => {
    const frame = frameText(watched, frameAt(watched.dataflow, f, cycle));
    process.stdout.write(
      `\x1b[2J\x1b[H${utilisationSentence(watched)}\n\n${frame}\n\n→ or space: on · ←: back · home, end · q: quit\n`,
    );
  };
  const { stdin } = process;
  emitKeypressEvents(stdin);
  stdin.setRawMode(true);
  draw();
  return new Promise((resolve) => {
    stdin.on('keypress', (_text: string, key: { name?: string; ctrl?: boolean }) => {
      if (key.name === 'q' || key.name === 'escape' || (key.ctrl && key.name === 'c')) {
        stdin.setRawMode(false);
        stdin.pause();
        if (key.ctrl) process.exitCode = 130;
        resolve();
        return;
      }
      if (key.name === 'right' || key.name === 'space' || key.name === 'n') cycle = Math.min(cycles - 1, cycle + 1);
      else if (key.name === 'left' || key.name === 'p') cycle = Math.max(0, cycle - 1);
      else if (key.name === 'home') cycle = 0;
      else if (key.name === 'end') cycle = cycles - 1;
      else return;
      draw();
    });
  });
}
