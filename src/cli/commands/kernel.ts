/** `tilewright kernel NAME -m MACHINE --shape …`: one kernel, simulated or printed. */
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { InputError } from '../../base/errors.js';
import { simulateKernel } from '../../engine/simulate.js';
import type { KernelSimulation } from '../../engine/simulation.js';
import { COLD, type Context, FIDELITIES, type Fidelity } from '../../engine/types.js';
import { cascadeOf, hasCascade } from '../../kernel/cascade.js';
import { cascadeText } from '../../kernel/cascade-print.js';
import type { Launch } from '../../kernel/kernel.js';
import { nestText as arrayNestText } from '../../kernel/nest-print.js';
import { nestText, programText } from '../../kernel/print.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { epochText } from '../../report/epochs.js';
import { quantity } from '../../report/format.js';
import { resourceInWords } from '../../report/words.js';
import { kernelInterval } from '../../validate/intervals.js';
import { compulsoryBytesOf, type Op } from '../../workload/op.js';
import { type EventOptions, eventOptions, openEventOptions } from '../event-options.js';
import { openMachine } from '../files.js';
import { readText, writeOutput } from '../io.js';
import { type KernelOpOptions, kernelOp, kernelOpOptions } from '../kernel-op.js';
import { collect, common, splitSet, wholeNumber } from '../options.js';
import { DRAWN, emit, note } from '../output.js';
import { writeReport } from '../report-file.js';
import { assumptionsOf } from '../runs.js';
import { bold, plainTable, yellow } from '../style.js';

interface Options extends EventOptions, KernelOpOptions {
  readonly machine?: string;
  readonly from?: string;
  readonly topology?: string;
  readonly hardware?: string;
  readonly nocBandwidth?: number;
  readonly nocLatency?: number;
  readonly emit?: 'program' | 'cascade' | 'nest' | 'epoch' | 'wgsl';
  readonly nest?: string;
  readonly subgroupMatrix?: string | true;
  readonly timeline?: string;
  readonly fidelity: Fidelity;
  readonly objective: 'time' | 'energy' | 'edp';
  readonly cache: 'cold' | 'warm';
  readonly launch: 'graph' | 'eager';
  readonly set?: readonly string[];
}

export function define(command: Command): void {
  kernelOpOptions(eventOptions(common(command)))
    .argument(
      '[name]',
      'a kernel, a family to pick from (tilewright list kernels), or the path of a file with your own',
    )
    .option('-m, --machine <name>', 'name of a machine, or a path to its file')
    .option(
      '--from <file>',
      'another tool’s file in place of kernel and machine: a SCALE-Sim configuration, Timeloop’s input, MAESTRO’s network',
    )
    .option('--topology <file.csv>', 'with --from: the layers of a SCALE-Sim configuration')
    .option('--hardware <file.m>', 'with --from: the machine of MAESTRO’s network')
    .addOption(
      new Option('--noc-bandwidth <words>', 'with --hardware: words a cycle on the network of each level').argParser(
        wholeNumber(1, 1e12),
      ),
    )
    .addOption(
      new Option('--noc-latency <cycles>', 'with --hardware: of a word on the network of each level').argParser(
        wholeNumber(0, 1e6),
      ),
    )
    .option('--energy <file.yaml>', 'with --from: energies per action (ERT) of Timeloop’s input')
    .option(
      '--nest <file>',
      'on arrays of PEs: the loop nest to use, as JSON (tilewright schema nest); with --from also as Timeloop prints it',
    )
    .addOption(
      new Option(
        '--emit <what>',
        'print the tile program, its cascade of einsums, its loop nest, which einsum is on which array when, or its shader instead',
      ).choices(['program', 'cascade', 'epoch', 'nest', 'wgsl']),
    )
    .option(
      '--subgroup-matrix [m x n x k]',
      "with --emit wgsl: multiply on Dawn's experimental subgroup matrices, 16x16x16 unless said otherwise",
    )
    .option('--timeline <file>', 'write what happened when, for Perfetto (with --fidelity event)')
    .addOption(new Option('--fidelity <name>', 'how closely it is simulated').choices(FIDELITIES).default('steady'))
    .addOption(
      new Option('--objective <name>', 'what tiles are picked by').choices(['time', 'energy', 'edp']).default('time'),
    )
    .addOption(new Option('--cache <state>', 'what the caches hold before').choices(['cold', 'warm']).default('cold'))
    .addOption(
      new Option('--launch <how>', 'from a captured graph, or one by one').choices(['graph', 'eager']).default('graph'),
    )
    .addOption(new Option('--set <path=value>', 'override a field of the machine').argParser(collect))
    .addHelpText('after', '\nWith -o FILE.html, .md, .svg or .png it is a report.')
    .action(async (name: string | undefined, options: Options) => {
      if (options.from !== undefined) {
        const { runFrom } = await import('../from.js');
        return emit(options, await runFrom(options.from, options));
      }
      if (name === undefined) throw new InputError('expected a kernel (tilewright list kernels), or --from FILE');
      if (options.machine === undefined) throw new InputError('expected a machine: -m NAME (tilewright list machines)');
      const set = splitSet(options.set).machine;
      const machine = await openMachine(options.machine, set);
      const event = await openEventOptions(options.machine, set, options);
      const { op, ...chosen } = await kernelOp(name, options, machine.graph);
      const context = contextOf(op, options);
      const { result: simulated, choice } = simulateKernel(op, machine.graph, {
        fidelity: options.fidelity,
        objective: options.objective,
        ...chosen,
        context,
        ...event,
        ...(options.nest !== undefined && { layOut: await ownNest(options.nest, machine.graph) }),
      });
      const result = kernelInterval(simulated, op, machine);
      for (const warning of result.warnings) note(options, `${yellow('warning:')} ${warning}`);
      if (options.timeline) {
        if (options.fidelity !== 'event') throw new InputError('--timeline needs --fidelity event');
        const { timelineOf } = await import('../timeline.js');
        const timeline = timelineOf([{ launches: choice.launches, context }], machine.graph, event);
        writeOutput(options.timeline, JSON.stringify(timeline));
      }
      if (options.subgroupMatrix !== undefined && options.emit !== 'wgsl')
        throw new InputError('--subgroup-matrix needs --emit wgsl');
      if (options.emit) {
        const programs =
          options.emit === 'epoch' ? epochs(result) : await printed(choice.launches, options, machine.graph);
        const nests = choice.launches.flatMap((l) => l.mapping.nest ?? []);
        const json = () => ({
          programs,
          ...(options.emit === 'nest' && nests.length > 0 && { nests }),
          ...(options.emit === 'epoch' && { arrays: result.arrays }),
        });
        await emit(options, { json, text: () => programs.join('\n\n') });
      } else if (
        !(await writeReport(
          [{ simulation: result, machine: machine.graph, assumptions: assumptionsOf(machine) }],
          options,
        ))
      )
        await emit(options, { json: () => result, text: () => kernelText(result) }, DRAWN);
    });
}

/** The user's nest in place of a search; what is wrong in it is said with the file's name. */
async function ownNest(path: string, machine: ResourceGraph): Promise<(launch: Launch) => Launch> {
  const { readNest } = await import('../../kernel/nest.js');
  const { checkNest } = await import('../../kernel/nest-check.js');
  const file = basename(path);
  const nest = readNest(readText(path), file);
  return (launch) => {
    const cascade = cascadeOf(launch.program);
    if (!hasCascade(cascade)) throw new InputError(`${launch.program.name} takes no nest: ${cascade.reason}`, file);
    try {
      checkNest(nest, cascade, machine);
    } catch (e) {
      if (e instanceof InputError) throw new InputError(e.message, file);
      throw e;
    }
    return { ...launch, mapping: { ...launch.mapping, nest } };
  };
}

/** Of each launch that is laid on arrays. @throws InputError when none is */
function epochs({ arrays }: KernelSimulation): string[] {
  if (!arrays) throw new InputError('is laid on no array of processing elements', '--emit epoch');
  return arrays.map((o) => `${o.launch}\n${epochText(o)}`);
}

/** Of each launch. A shader is one for a device that offers what the machine has. */
async function printed(
  launches: readonly Launch[],
  { emit: what, subgroupMatrix }: Options,
  machine: ResourceGraph,
): Promise<string[]> {
  const { cores } = machine;
  if (what === 'program') return launches.map(({ program }) => programText(program));
  if (what === 'cascade')
    return launches.map(({ program }) => {
      const cascade = cascadeOf(program);
      return hasCascade(cascade)
        ? cascadeText(cascade)
        : `${program.name} has no cascade of einsums: ${cascade.reason}`;
    });
  if (what === 'nest')
    return launches.map(({ program, mapping }) => {
      const cascade = mapping.nest && cascadeOf(program);
      return cascade && hasCascade(cascade) ? arrayNestText(mapping.nest!, cascade, machine) : nestText(program);
    });
  const { emitLaunches } = await import('../../webgpu/program.js');
  return emitLaunches(launches, {
    f16: true,
    dot4: true,
    subgroup: SUBGROUPS.includes(cores.lane_group) ? [cores.lane_group, cores.lane_group] : undefined,
    matrix: subgroupMatrix === undefined ? undefined : matrixShape(subgroupMatrix),
    storage_buffers: 16,
    workgroup_B: cores.shared_per_workgroup_B,
    max_lanes: cores.max_lanes_per_workgroup,
  }).map(({ wgsl }) => wgsl);
}

/** Lanes that a subgroup may have (WebGPU §3.6.2). */
const SUBGROUPS: readonly number[] = [4, 8, 16, 32, 64, 128];

function matrixShape(text: string | true): { m: number; n: number; k: number } {
  const [m, n, k, more] = (text === true ? '16x16x16' : text).split('x').map(Number);
  if (more !== undefined || ![m, n, k].every((x) => Number.isInteger(x) && x! > 0))
    throw new InputError(
      `'${text}' is no shape of a matrix product; expected one such as 16x16x16`,
      '--subgroup-matrix',
    );
  return { m: m!, n: n!, k: k! };
}

/** Cold: nothing is in the caches. Warm: the same call ran just before. */
function contextOf(op: Op, options: Options): Context {
  if (options.cache === 'cold') return { ...COLD, launch: options.launch };
  const { read_B, write_B } = compulsoryBytesOf(op);
  const bytes = read_B + write_B;
  return { launch: options.launch, reuse_B: { weight: bytes, activation: bytes, kv: bytes, index: bytes } };
}

function kernelText(result: KernelSimulation): string {
  const tile = Object.entries(result.tile).map(([key, value]) => `${key}=${value}`);
  const show = (value: number, unit: string) => ({ text: quantity(value, unit), value });
  const figures: [string, { text: string; value: number }][] = [
    ['Time', show(result.time_s, 's')],
    ...(result.interval_s
      ? ([
          ['5 % are below', show(result.interval_s.lo, 's')],
          ['95 % are below', show(result.interval_s.hi, 's')],
        ] as [string, { text: string; value: number }][])
      : []),
    ['Launch and drain', show(result.launch_s, 's')],
    ['No schedule beats', show(result.bound_s, 's')],
    ['Of the roof', show(result.roof_fraction, '%')],
    ['Useful rate', show(result.flops / result.time_s, 'FLOP/s')],
    ['Useful work', show(result.flops, 'FLOP')],
    ['Executed work', show(result.flops_executed, 'FLOP')],
    ['Energy', show(result.energy_J, 'J')],
    ['Power', show(result.power_W, 'W')],
    ['Clock', show(result.clock_Hz, 'Hz')],
  ];
  const stores = [...new Set([...Object.keys(result.requested_B), ...Object.keys(result.moved_B)])];
  const parts = [
    `${bold(`${result.kernel} on ${result.machine}: bound by ${resourceInWords(result.bound_by)}`)}\n${[...tile, `${result.tried} candidates tried`].join(' ')}`,
    plainTable(['Figure', result.fidelity], figures),
    plainTable(
      ['Store', 'Requested', 'Moved'],
      stores.map((s) => [s, show(result.requested_B[s] ?? 0, 'B'), show(result.moved_B[s] ?? 0, 'B')]),
    ),
    plainTable(
      ['Energy', 'J'],
      Object.entries(result.energy_by_part_J).map(([part, energy_J]) => [part, show(energy_J, 'J')]),
    ),
    plainTable(
      ['Launch', 'Time', 'Workgroups', 'Per core', 'Limited by', 'Waves'],
      result.launches.map((l) => [
        l.program,
        show(l.time_s, 's'),
        String(l.workgroups ?? ''),
        String(l.resident_per_core ?? ''),
        l.limited_by ?? '',
        l.waves === undefined ? '' : l.waves.toFixed(2),
      ]),
    ),
  ];
  if (result.memory) parts.push(memoryTable(result.memory));
  if (result.stalls_s)
    parts.push(
      plainTable(
        ['Stall', 'Time'],
        Object.entries(result.stalls_s).map(([cause, s]) => [cause, show(s, 's')]),
      ),
    );
  return parts.join('\n\n');
}

function memoryTable(m: NonNullable<KernelSimulation['memory']>): string {
  const columns = m.read_commands + m.write_commands;
  const share = (part: number, of: number) => ({ text: quantity(of > 0 ? part / of : 0, '%'), value: part });
  const count = (value: number) => ({ text: quantity(value, ''), value });
  const rows: [string, { text: string; value: number }][] = [
    ...Object.keys(m.hits).map((s): [string, { text: string; value: number }] => [
      `hits in ${s}`,
      share(m.hits[s]!, m.hits[s]! + m.misses[s]!),
    ]),
    ['hits of open rows', share(m.row_hits, columns)],
    ['activations', count(m.activates)],
    ['channels worked through', { text: `${m.channels_simulated} of ${m.channels}`, value: m.channels_simulated }],
    ...Object.entries(m.dram_command_J).map(([name, joules]): [string, { text: string; value: number }] => [
      `DRAM devices, ${name}`,
      { text: quantity(joules, 'J'), value: joules },
    ]),
  ];
  return plainTable(['Memory', 'stateful'], rows);
}
