/** `kernel --from FILE`: another tool's files in place of machine, workload and mapping. What a file is, its text tells. */
import { basename } from 'node:path';
import { InputError } from '../base/errors.js';
import { parseMaestroHardware } from '../interop/maestro/hardware.js';
import { isMaestro, parseMaestro } from '../interop/maestro/network.js';
import { type MaestroLayerResult, type MaestroResult, simulateMaestro } from '../interop/maestro/simulate.js';
import { isScaleSimConfig, parseScaleSimConfig } from '../interop/scalesim/config.js';
import { type LayerResult, type ScaleSimResult, simulateScaleSim } from '../interop/scalesim/simulate.js';
import { parseTopology } from '../interop/scalesim/topology.js';
import { importTimeloop, type TextFile } from '../interop/timeloop/import.js';
import { isPrintedMap } from '../interop/timeloop/mapping.js';
import { isTimeloop } from '../interop/timeloop/read.js';
import { nestFor, simulateTimeloop, type TimeloopResult } from '../interop/timeloop/simulate.js';
import { quantity } from '../report/format.js';
import { readText } from './io.js';
import type { CommonOptions } from './options.js';
import { note, type Result } from './output.js';
import { startProgress } from './progress.js';
import { bold, plainTable } from './style.js';

export interface FromOptions extends CommonOptions {
  readonly topology?: string;
  readonly hardware?: string;
  readonly nocBandwidth?: number;
  readonly nocLatency?: number;
  readonly energy?: string;
  readonly nest?: string;
  readonly emit?: string;
  readonly seed?: number;
}

interface Form {
  /** What it is, for the message when no form fits. */
  readonly what: string;
  is(text: string): boolean;
  run(text: string, file: string, options: FromOptions): Promise<Result>;
}

const FORMS: readonly Form[] = [
  { what: 'a SCALE-Sim configuration (with --topology)', is: isScaleSimConfig, run: scaleSim },
  { what: "Timeloop's input (architecture and problem, version 0.4)", is: isTimeloop, run: timeloop },
  { what: "MAESTRO's network (with --hardware)", is: isMaestro, run: maestro },
];

/** @throws InputError when the file cannot be read or is of no form that is known */
export async function runFrom(file: string, options: FromOptions): Promise<Result> {
  const text = readText(file);
  const form = FORMS.find((f) => f.is(text));
  if (!form) throw new InputError(`is not ${FORMS.map((f) => f.what).join(' or ')}`, file);
  return form.run(text, basename(file), options);
}

async function scaleSim(text: string, file: string, options: FromOptions): Promise<Result> {
  if (options.topology === undefined)
    throw new InputError('a SCALE-Sim configuration needs its layers: --topology FILE.csv', file);
  const config = parseScaleSimConfig(text, file);
  const layers = parseTopology(readText(options.topology), basename(options.topology));
  const progress = await startProgress('layers', layers.length, options);
  const result = simulateScaleSim(config, layers, (done) => progress.update(done));
  progress.stop();
  for (const warning of result.warnings) note(options, `note: ${warning}`);
  return { json: () => result, text: () => scaleSimText(result) };
}

function scaleSimText({ machine, array, cycles, layers }: ScaleSimResult): string {
  const count = (value: number) => ({ text: value.toLocaleString('en-US'), value });
  const share = (value: number) => ({ text: quantity(value, '%'), value });
  const row = (l: LayerResult) => [
    l.layer,
    count(l.compute_cycles),
    count(l.stall_cycles),
    count(l.as_scale_sim.compute_cycles),
    count(l.as_scale_sim.stall_cycles),
    share(l.utilisation),
    share(l.compute_utilisation),
    count(l.ifmap.dram_words),
    count(l.filter.dram_words),
    count(l.ofmap.dram_words),
  ];
  return [
    bold(`${machine}: ${array.rows} × ${array.cols}, ${array.dataflow}: ${cycles.toLocaleString('en-US')} cycles`),
    plainTable(
      [
        'Layer',
        'Compute cycles',
        'Stalls',
        'as SCALE-Sim',
        'its stalls',
        'Utilisation',
        'while working',
        'Input words',
        'Filter words',
        'Output words',
      ],
      layers.map(row),
    ),
    'SCALE-Sim prints the number of the last cycle, and counts a wait for DRAM twice; words are those of DRAM.',
  ].join('\n\n');
}

async function maestro(text: string, file: string, options: FromOptions): Promise<Result> {
  if (options.hardware === undefined)
    throw new InputError("MAESTRO's network needs its machine: --hardware FILE.m, with a line 'num_pes: 256'", file);
  const network = parseMaestro(text, file);
  const stated = parseMaestroHardware(readText(options.hardware), basename(options.hardware));
  const hardware = {
    ...stated,
    noc_words_per_cycle: options.nocBandwidth ?? stated.noc_words_per_cycle,
    noc_latency_cycles: options.nocLatency ?? stated.noc_latency_cycles,
  };
  const progress = await startProgress('layers', network.layers.length, options);
  const result = simulateMaestro(network, hardware, (done) => progress.update(done));
  progress.stop();
  for (const warning of result.warnings) note(options, `note: ${warning}`);
  return { json: () => result, text: () => maestroText(result) };
}

function maestroText({ network, pes, cycles, layers }: MaestroResult): string {
  const count = (value: number) => ({ text: value.toLocaleString('en-US'), value });
  const tenths = (value: number) => ({ text: value.toFixed(1), value });
  const share = (value: number) => ({ text: quantity(value, '%'), value });
  const times = (l: MaestroLayerResult) => [
    l.layer,
    count(l.cycles),
    l.as_maestro ? count(l.as_maestro.cycles) : '',
    count(l.macs),
    tenths(l.active_pes),
    share(l.utilisation),
    tenths(l.ingress_cycles.mean),
    tenths(l.compute_cycles.mean),
    tenths(l.egress_cycles.mean),
    count(l.l1_words),
    count(l.l2_words),
  ];
  const words = (l: MaestroLayerResult) =>
    (['input', 'filter', 'output'] as const).map((operand) => {
      const [ours, theirs] = [l[operand], l.as_maestro?.[operand]];
      const figures = (['l2_reads', 'l2_writes', 'l1_writes', 'l1_reads'] as const).flatMap((what) =>
        what === 'l1_reads' ? [count(ours[what])] : [count(ours[what]), theirs ? count(theirs[what]) : ''],
      );
      return [l.layer, operand, ...figures];
    });
  return [
    bold(`${network}, ${pes} PEs: ${cycles.toLocaleString('en-US')} cycles`),
    plainTable(
      [
        'Layer',
        'Cycles',
        'as MAESTRO',
        'MACs',
        'PEs',
        'Utilisation',
        'Ingress',
        'Compute',
        'Egress',
        'L1 words',
        'L2 words',
      ],
      layers.map(times),
    ),
    plainTable(
      ['Layer', 'Operand', 'L2 reads', 'its', 'L2 writes', 'its', 'L1 writes', 'its', 'L1 reads'],
      layers.flatMap(words),
    ),
    "Ingress, compute and egress: mean cycles of an iteration of the outermost level. 'its': as MAESTRO counts.",
  ].join('\n\n');
}

const textFile = (path: string): TextFile => ({ text: readText(path), file: basename(path) });

/** A mapping of the input, or of --nest (ours as JSON, or as the tool prints one), or one that is found. */
async function timeloop(text: string, file: string, options: FromOptions): Promise<Result> {
  const energy = options.energy === undefined ? undefined : textFile(options.energy);
  const own = options.nest === undefined ? undefined : textFile(options.nest);
  const printed = own && isPrintedMap(own.text) ? own : undefined;
  const input = importTimeloop({ text, file }, energy, printed);
  const { nest, tried } = nestFor(input, printed ? undefined : own, options.seed);
  const result = simulateTimeloop(input, nest, tried);
  for (const warning of result.warnings) note(options, `note: ${warning}`);
  if (options.emit === 'nest')
    return { json: () => ({ programs: [result.detail.nest.join('\n')] }), text: () => result.detail.nest.join('\n') };
  return { json: () => result, text: () => timeloopText(result) };
}

function timeloopText(r: TimeloopResult): string {
  const count = (value: number) => ({ text: value.toLocaleString('en-US'), value });
  const show = (value: number, unit: string) => ({ text: quantity(value, unit), value });
  const { detail: d } = r;
  const words = (n: number) => count(Math.round(n));
  return [
    bold(`${r.kernel} on ${r.machine}: ${d.cycles.toLocaleString('en-US')} cycles, ${r.bound_by} sets the pace`),
    d.nest.join('\n'),
    plainTable(
      ['Figure', ''],
      [
        ['Time', show(r.time_s, 's')],
        ['Energy', show(r.energy_J, 'J')],
        ['Computes', count(d.computes)],
        ['Places', `${d.places} of ${d.places_all}`],
        ['Utilisation', show(d.utilisation, '%')],
        ['Nests tried', count(r.tried)],
      ],
    ),
    plainTable(
      ['Store', 'Tensor', 'Tile', 'Instances', 'Reads', 'Fills', 'Updates', 'Cycles'],
      d.stores.flatMap((s) =>
        s.tensors.map((t) => [
          s.store,
          t.tensor,
          words(t.tile),
          words(t.instances),
          words(t.reads),
          words(t.fills),
          words(t.updates),
          words(s.cycles),
        ]),
      ),
    ),
    plainTable(
      ['Energy', 'J'],
      Object.entries(r.energy_by_part_J).map(([part, energy_J]) => [part, show(energy_J, 'J')]),
    ),
    'Tiles, reads, fills and updates are words of one instance over the run.',
  ].join('\n\n');
}
