/** Whole models simulated for the figures of measured rows; equal workloads are simulated once. */
import { csvFormat } from 'd3-dsv';
import { InputError } from '../base/errors.js';
import { simulate } from '../engine/simulate.js';
import type { Simulation } from '../engine/simulation.js';
import type { Mapper } from '../kernel/mapper.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { Trace } from '../workload/op.js';
import type { Row } from './fields.js';
import type { MeasuredRow, Parts } from './measured.js';
import type { Runtime, Served } from './served.js';

export class ModelRuns {
  private readonly known = new Map<string, Step>();

  constructor(
    private readonly machine: ResourceGraph,
    private readonly mapper: Mapper,
    private readonly open: ((workload: string) => Trace) | undefined,
  ) {}

  /** A measured row for each of its figures. @throws InfeasibleError where an op fits no kernel */
  figuresOf(row: Row, s: Served): MeasuredRow[] {
    const { step, prompt, predicted } = this.predict(s, s.decode);
    const longer = s.longer === undefined ? undefined : this.predict(s, s.longer).predicted;
    const bounds = { ...predicted, 'prompt time': prompt.bound_s, 'time per token': step.bound_s };
    return s.figures.map((f) => ({
      row,
      group: f.quantity,
      dtype: s.group,
      quantity: f.quantity,
      unit: f.unit,
      measured_s: f.measured,
      predicted_s: predicted[f.quantity],
      bound_s: f.unit === 's' ? bounds[f.quantity] : 0,
      classes: [],
      kernel: f.quantity === 'prompt time' ? s.prefill : s.decode,
      tile: '',
      bound_by: f.quantity === 'prompt time' ? prompt.bound_by : step.bound_by,
      roofline_s: f.unit === 's' ? bounds[f.quantity] : predicted[f.quantity],
      ...(f.unit === 's' && { parts: f.quantity === 'prompt time' ? prompt.parts : step.parts }),
      ...(longer && { longer: longer[f.quantity] }),
    }));
  }

  private predict(s: Served, decode: string) {
    const step = this.run(decode, s.runtime);
    const prompt = this.run(s.prefill, s.runtime);
    // all devices of the model; prompts' work falls between the steps
    const time_s = step.time_s + s.prefill_share * prompt.time_s;
    const energy_J = step.energy_J + s.prefill_share * prompt.energy_J;
    const predicted = {
      'prompt time': prompt.time_s,
      // the median interval between tokens sees no prompt; a mean would
      'time per token': step.time_s,
      'energy per token': energy_J / s.tokens,
      power: energy_J / time_s,
    };
    return { step, prompt, predicted };
  }

  private run(workload: string, runtime: Runtime): Step {
    if (!this.open) throw new InputError('rows of whole models need workloads to be opened by name', workload);
    const key = `${workload} ${runtime.name}`;
    let step = this.known.get(key);
    if (!step) {
      // a queue that the host keeps filled has the gaps of a captured graph
      const s = simulate(this.open(workload), this.machine, { launch: 'graph', mapper: this.mapper });
      step = hosted(s, runtime, this.machine.control.static_W);
      this.known.set(key, step);
    }
    return step;
  }
}

/** A step or prompt with what the host adds; energy of all devices. */
interface Step {
  readonly time_s: number;
  readonly energy_J: number;
  readonly bound_s: number;
  readonly bound_by: string;
  readonly parts: Parts;
}

/** The device's time for a step, and how long it waits for the host. */
export function hosted(s: Simulation, { op_s, step_s }: Runtime, static_W: number): Step {
  const queued_s = op_s * s.ops.reduce((sum, o) => sum + o.repeat, 0);
  const host = step_s + Math.max(0, queued_s - s.time_s);
  const collectives = s.ops.reduce((sum, o) => sum + (o.kind === 'collective' ? o.repeat * o.time_s : 0), 0);
  return {
    time_s: s.time_s + host,
    energy_J: s.devices * (s.energy_J + static_W * host),
    bound_s: s.bound_s,
    bound_by: queued_s > s.time_s ? 'host' : s.bound_by,
    parts: { kernels: s.time_s - collectives, collectives, host },
  };
}

const IN: Readonly<Record<string, readonly [ending: string, factor: number]>> = {
  s: ['ms', 1e3],
  J: ['J', 1],
  W: ['W', 1],
};

/** Of whole models: each input row once, with a column for each of its figures; `predicted_ms` is the time per token. */
export function servedCsv(rows: readonly MeasuredRow[], columns: readonly string[]): string {
  const out = new Map<Row, Record<string, string>>();
  const added = new Set(['predicted_ms', 'lo_ms', 'hi_ms']);
  for (const r of rows) {
    const line = out.get(r.row) ?? { ...r.row, predicted_ms: '', lo_ms: '', hi_ms: '' };
    out.set(r.row, line);
    if (r.quantity && r.predicted_s !== undefined) {
      const [ending, factor] = IN[r.unit!]!;
      const name = `predicted_${r.quantity.replaceAll(' ', '_')}_${ending}`;
      added.add(name);
      line[name] = String(r.predicted_s * factor);
      if (r.longer !== undefined) {
        const longer = `${name}_twice_the_prompt`;
        added.add(longer);
        line[longer] = String(r.longer * factor);
      }
      for (const [part, seconds] of Object.entries(r.parts ?? {})) {
        const column = `${name.replace(/_ms$/, '')}_${part}_ms`;
        added.add(column);
        line[column] = String(seconds * 1e3);
      }
      if (r.quantity === 'time per token')
        Object.assign(line, {
          predicted_ms: String(r.predicted_s * 1e3),
          lo_ms: String(r.lo_s! * 1e3),
          hi_ms: String(r.hi_s! * 1e3),
          kernel: r.kernel ?? '',
          bound_by: r.bound_by ?? '',
        });
    }
    line['skip_reason'] = r.skip_reason ?? '';
  }
  const names = [...added, 'kernel', 'tile', 'bound_by', 'skip_reason'];
  return csvFormat([...out.values()], [...columns.filter((c) => !names.includes(c)), ...names] as never[]);
}
