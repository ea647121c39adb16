/** `tilewright bounds NAME --shape … --capacity 192KiB`: the least I/O, and what schedules move beside it. */
import { type Command, Option } from 'commander';
import type { DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import { parseQuantity } from '../../base/units.js';
import { type Composition, composeTrace } from '../../bounds/compose.js';
import { type Asked, boundsFor, leastOf } from '../../bounds/evaluate.js';
import { OTHERS, otherByName } from '../../bounds/others.js';
import type { Bounds } from '../../bounds/result.js';
import type { AnyKernel } from '../../kernel/library/index.js';
import { boundSentence, boundTables, renderBounds } from '../../report/bounds.js';
import { quantity } from '../../report/format.js';
import { formatOf, textTable } from '../../report/index.js';
import { crossingsOf } from '../boundaries.js';
import { writeOutput } from '../io.js';
import { FORMATS, formatFor } from '../kernel-op.js';
import { type CommonOptions, collect, common, dtypeOf, splitSet } from '../options.js';
import { DRAWN, emit, note, type Result } from '../output.js';
import { parseAssignments } from '../pins.js';
import { commandLine } from '../runs.js';
import { bold, plainTable, STYLE } from '../style.js';
import { isKernelFile, loadUserKernel } from '../user-kernels.js';
import { VERSION } from '../version.js';
import { openTrace } from '../workload.js';

interface Options extends CommonOptions {
  readonly shape?: string;
  readonly capacity?: string;
  readonly dtype?: DType;
  readonly tile?: string;
  readonly draw?: string;
  readonly pebble?: boolean;
  readonly workload?: string;
  readonly frontier?: boolean;
  readonly machine?: string;
  readonly set?: readonly string[];
}

export function define(command: Command): void {
  common(command)
    .argument(
      '[name]',
      `a kernel or a family of kernels, or ${Object.keys(OTHERS).join(', ')}, or the path of a file with your own`,
    )
    .option('--shape <key=value,…>', 'dimensions, such as m=4096,n=4096,k=4096')
    .option('--capacity <bytes>', 'fast memory on the near side, such as 192KiB')
    .option(
      '-m, --machine <name>',
      'also the least across each boundary of this machine, and what the kernel it picks moves; its workgroup’s memory is the capacity unless one is given',
    )
    .addOption(
      new Option(
        '--dtype <name>',
        `number format (default: ${FORMATS[0]}; with -m the first of ${FORMATS.join(', ')} that the machine does)`,
      ).argParser(dtypeOf),
    )
    .option('--tile <key=value,…>', 'a tile of your own, set beside the best ones')
    .option('--draw <file>', 'also draw bytes against capacity: .html, .svg, .png or .md')
    .option('--pebble', 'play the red–blue pebble game on the graph of a small shape, step by step')
    .option('--frontier', 'instead: the least words for each size of a buffer, over all nests of two levels')
    .addOption(new Option('--set <path=value>', 'override a field of the machine').argParser(collect))
    .option('-w, --workload <text>', 'instead of a kernel: all ops of a workload, one by one and fused')
    .addHelpText('after', '\nWith -o FILE.html, .md, .svg or .png it is a page or a picture of bytes against capacity.')
    .action(async (name: string | undefined, options: Options) => {
      if (options.frontier) return emit(options, await frontierOf(name, options));
      if (options.workload !== undefined) {
        if (name !== undefined) throw new InputError('give a kernel or --workload, not both', name);
        const capacity_B = capacityOf(options);
        const composition = composeTrace(openTrace(options.workload), capacity_B);
        return emit(options, { json: () => composition, text: () => compositionText(composition) });
      }
      if (name === undefined) throw new InputError('expected the name of a kernel, or --workload');
      // as a page or a picture, like the reports of other commands
      const page =
        !options.json && options.out !== undefined && formatOf(options.out) !== 'json'
          ? formatOf(options.out)
          : undefined;
      const drawn = page ? options.out! : options.draw;
      const format = drawn === undefined ? undefined : formatOf(drawn);
      if (drawn !== undefined && !format)
        throw new InputError("the file's ending says no format; known: html, svg, png, md, json", drawn);
      const tile = options.tile === undefined ? undefined : parseAssignments(options.tile, `--tile ${options.tile}`);
      const own = isKernelFile(name) ? await loadUserKernel(name) : undefined;
      const machine = options.machine === undefined ? undefined : await picked(name, own, options);
      const dtype = machine?.dtype ?? options.dtype ?? FORMATS[0];
      const capacity_B = machine && options.capacity === undefined ? machine.nearest_B : capacityOf(options);
      const asked = {
        name: own?.name ?? name,
        own,
        shape: options.shape ?? '',
        dtype,
        capacity_B,
        tile,
        curve: format !== undefined,
        pebble: options.pebble,
      };
      const bounds: Bounds = { ...boundsFor(asked), ...(machine && { machine: machine.at(asked) }) };
      if (format) {
        const title = `Least I/O of ${name} (${Object.entries(bounds.shape)
          .map(([k, v]) => `${k} ${v}`)
          .join(', ')})`;
        const about = { title, version: VERSION, command: commandLine() };
        writeOutput(drawn!, await renderBounds(about, bounds, format));
        note(options, `wrote ${drawn}`);
      }
      if (!page) await emit(options, { json: () => bounds, text: () => boundsText(bounds) }, DRAWN);
    });
}

function capacityOf({ capacity }: Options): number {
  if (capacity === undefined) throw new InputError('expected --capacity BYTES, such as 192KiB, or -m MACHINE');
  const capacity_B = parseQuantity(capacity, 'bytes', '--capacity');
  if (!(capacity_B > 0)) throw new InputError(`'${capacity}' is no capacity`, '--capacity');
  return capacity_B;
}

/** What a machine's pick of kernel and tile moves across its boundaries. */
async function picked(name: string, own: AnyKernel | undefined, options: Options) {
  if (!own && otherByName(name))
    throw new InputError('there is no kernel that a machine could run; give --capacity instead of -m', name);
  const { openMachine } = await import('../files.js');
  const { simulateKernel } = await import('../../engine/simulate.js');
  const { kernelsNamed } = await import('../../kernel/library/index.js');
  const { parseShape } = await import('../../kernel/shape.js');
  const { graph } = await openMachine(options.machine!, splitSet(options.set).machine);
  const kernels = own ? [own] : kernelsNamed(name);
  const shape = parseShape(options.shape ?? '', kernels[0]!.shape, `${name} --shape`);
  const dtype = formatFor(name, kernels, shape, graph, options);
  const op = kernels[0]!.toOp(shape, dtype);
  const { result } = simulateKernel(op, graph, own ? { kernels: [own] } : {});
  const crossings = crossingsOf(graph, result);
  return {
    dtype,
    nearest_B: crossings.at(-1)!.capacity_B,
    at: (asked: Asked): NonNullable<Bounds['machine']> => ({
      name: graph.name,
      kernel: result.kernel,
      tile: { ...result.tile },
      boundaries: crossings.map((c) => {
        const { bound_B, formula } = leastOf({ ...asked, capacity_B: c.capacity_B });
        return { ...c, bound_B, formula, ratio: c.moved_B / bound_B };
      }),
    }),
  };
}

/** Of a matrix product or a convolution. */
async function frontierOf(name: string | undefined, { shape, dtype = FORMATS[0] }: Options): Promise<Result> {
  if (name === undefined) throw new InputError('expected the name of a kernel', '--frontier');
  const { kernelByName } = await import('../../kernel/library/index.js');
  const { parseShape } = await import('../../kernel/shape.js');
  const { opCascade } = await import('../../kernel/op-cascade.js');
  const { trafficFrontier } = await import('../../engine/nest/frontier.js');
  const kernel = kernelByName(name);
  const cascade = opCascade(kernel.toOp(parseShape(shape ?? '', kernel.shape), dtype));
  if (!cascade) throw new InputError(`is no single einsum (known: kernels of matrix products and convolutions)`, name);
  const points = trafficFrontier(cascade, cascade.einsums[0]!).map(({ buffer_words, words, nest }) => ({
    buffer_words,
    words,
    loops: nest.levels.map(({ level, loops }) => ({ level, loops: loops.map((l) => `${l.rank}${l.size}`).join(' ') })),
  }));
  return {
    json: () => ({ kernel: name, ranks: cascade.ranks, points }),
    text: () =>
      plainTable(
        ['Buffer words', 'Words to and from memory', 'Loops outside', 'inside'],
        points.map((p) => [
          { text: p.buffer_words.toLocaleString('en-US'), value: p.buffer_words },
          { text: p.words.toLocaleString('en-US'), value: p.words },
          p.loops[0]!.loops,
          p.loops[1]!.loops,
        ]),
      ),
  };
}

const bytes = (value: number) => ({ text: quantity(value, 'B'), value });

function boundsText(b: Bounds): string {
  return [
    `${bold(boundSentence(b))}\n${b.formula}\n${b.range}; ${b.source}`,
    ...boundTables(b).map((t) => (t.id === 'pebbling' ? `${bold(t.title)}\n` : '') + textTable(t, STYLE)),
    b.advice,
  ].join('\n\n');
}

const MOST_EDGES = 20;

function compositionText(c: Composition): string {
  const head = `Least I/O with ${quantity(c.capacity_B, 'B')} of fast memory: ${quantity(c.unfused_B, 'B')} op by op, ${quantity(c.fused_B, 'B')} if all were fused`;
  const edges = c.edges.slice(0, MOST_EDGES);
  return [
    `${bold(head)}\n${quantity(c.external_B, 'B')} enter and leave: parameters, caches, first inputs, last results.`,
    plainTable(
      ['Fusing', 'into', 'would save'],
      edges.map((e) => [e.from, e.to, bytes(e.saves_B)]),
    ),
    ...(c.edges.length > MOST_EDGES ? [`and ${c.edges.length - MOST_EDGES} more`] : []),
  ].join('\n\n');
}
