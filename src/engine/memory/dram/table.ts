/**
 * A DRAM table (`arch/components/dram/*.json`): a standard's organisation, timing and energy, each number with its
 * source. Timing parameters stand in `cycles` of the command clock or in `time`; one that stands in both is the larger,
 * as JEDEC writes "max(4 nCK, 2.5 ns)".
 */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { InputError } from '../../../base/errors.js';
import { checkTree } from '../../../machine/check.js';
import { resolveFields } from '../../../machine/fields.js';
import { Quantity } from '../../../machine/quantity.js';
import { type Places, type ResolveExtends, readTree } from '../../../machine/tree.js';
import { energyOfCurrents } from './energy.js';
import {
  BANK_HASHES,
  CHANNEL_HASHES,
  type CommandEnergy,
  checkSpec,
  type DramSpec,
  DUAL_COMMANDS,
  OPTIONAL_TIMINGS,
  PAGE_POLICIES,
  REFRESH_POLICIES,
  TIMINGS,
  type Timing,
} from './spec.js';

const strict = { additionalProperties: false };
const count = (what: string) => Quantity('count', what, { integer: true });
const choice = <T extends string>(names: readonly T[]) => Type.Unsafe<T>(Type.String({ enum: [...names] }));

/** What a burst and the clock give themselves is not written. */
const WRITTEN = TIMINGS.filter((name) => name !== 'BL');
const timings = (leaf: (name: Timing) => TSchema) =>
  Type.Object(Object.fromEntries(WRITTEN.map((name) => [name, Type.Optional(leaf(name))])), strict);

export const DramTableSchema = Type.Object(
  {
    family: Type.Literal('dram'),
    name: Type.String({ minLength: 1 }),
    title: Type.String({ minLength: 1 }),
    protocol: Type.String({ description: 'HBM2, GDDR6, …: what machines call it' }),
    organisation: Type.Object(
      {
        channels: count('independent channels or pseudo-channels'),
        ranks: count('ranks of a channel'),
        bankgroups: count('bank groups of a rank'),
        banks_per_group: count('banks of a group'),
        rows: count('rows of a bank'),
        row: Quantity('bytes', 'one row over the whole channel'),
        bus: count('data bits of the channel'),
        devices: count('devices that share the channel, side by side'),
        burst: count('transfers of a burst'),
      },
      strict,
    ),
    clock: Type.Object(
      {
        period: Quantity('time', 'of the command clock'),
        transfers: count('transfers per pin in a period'),
      },
      strict,
    ),
    cycles: timings((name) => Quantity('cycles', name, { integer: true, sign: 'nonnegative' })),
    time: timings((name) => Quantity('time', name)),
    energy: Type.Optional(
      Type.Object(
        {
          activate: Quantity('energy_per_action', 'activation and precharge of one row', { sign: 'nonnegative' }),
          read: Quantity('energy_per_byte', 'read, with its way to the pins'),
          write: Quantity('energy_per_byte', 'write, with its way from the pins'),
          refresh: Quantity('energy_per_action', 'refresh of a rank', { sign: 'nonnegative' }),
          refresh_bank: Quantity('energy_per_action', 'refresh of a bank', { sign: 'nonnegative' }),
          active: Quantity('power', 'of a rank with an open row', { sign: 'nonnegative' }),
          idle: Quantity('power', 'of a rank with none', { sign: 'nonnegative' }),
        },
        strict,
      ),
    ),
    currents: Type.Optional(
      Type.Object(
        Object.fromEntries(
          ['VDD', 'IDD0', 'IDD2N', 'IDD3N', 'IDD4R', 'IDD4W', 'IDD5AB', 'IDD5PB'].map((name) => [
            name,
            Quantity('count', name === 'VDD' ? 'supply, V' : 'supply current of a device, mA', { sign: 'nonnegative' }),
          ]),
        ),
        strict,
      ),
    ),
    controller: Type.Object(
      {
        mapping: Type.String({ description: 'fields of an address, high to low, e.g. rorabacochbg' }),
        interleave: Quantity('bytes', 'aligned bytes that the fields do not split'),
        channel_hash: choice(CHANNEL_HASHES),
        bank_hash: choice(BANK_HASHES),
        page: choice(PAGE_POLICIES),
        refresh: choice(REFRESH_POLICIES),
        dual_command: choice(DUAL_COMMANDS),
        row_hit_limit: count(
          'uses of a row after which it may be closed for an older request, though younger ones hit it',
        ),
        bank_queue: count('requests that wait at a bank'),
        read_queue: count('reads that wait before'),
        write_buffer: count('writes that wait before'),
        write_low: count('writes above which an idle controller drains them'),
      },
      strict,
    ),
  },
  strict,
);
type DramTable = Static<typeof DramTableSchema>;

/** How many channels there are and what they give together, where a machine says so. */
export interface DramFit {
  readonly channels: number;
  readonly bandwidth_B_per_s: number;
}

/**
 * The DRAM of a table: as it is written, or with a machine's channels and a clock that gives its bandwidth (parameters
 * in `time` keep their time then, those in `cycles` their cycles).
 * @throws InputError with file, line and path for anything wrong with the text, or when the machine's DRAM is no such one.
 */
export async function readDramTable(
  text: string,
  file: string,
  { fit, resolveExtends }: { readonly fit?: DramFit; readonly resolveExtends?: ResolveExtends } = {},
): Promise<DramSpec> {
  const places: Places = new Map();
  const tree = await readTree(text, file, () => DramTableSchema, { resolveExtends, places });
  await checkTree(tree, DramTableSchema, places, file);
  const table = (await resolveFields(tree, DramTableSchema, places, file)).plain as unknown as DramTable;
  return specOf(fit ? fitted(table, fit, file) : table, file);
}

function fitted(table: DramTable, fit: DramFit, file: string): DramTable {
  const { organisation: o, clock } = table;
  const per_channel = fit.bandwidth_B_per_s / fit.channels;
  const per_period = (o.bus / 8) * clock.transfers;
  const period = per_period / per_channel;
  // generations of one standard differ by less
  if (!(period > clock.period / 2 && period < clock.period * 2))
    throw new InputError(
      `${fit.channels} channels of ${(per_channel / 1e9).toFixed(2)} GB/s are no ${table.protocol}: a channel of this table gives ${(per_period / clock.period / 1e9).toFixed(2)} GB/s`,
      file,
    );
  return { ...table, organisation: { ...o, channels: fit.channels }, clock: { ...clock, period } };
}

function specOf(table: DramTable, file: string): DramSpec {
  const { organisation: o, clock, controller: c } = table;
  const burst_B = (o.bus * o.burst) / 8;
  const timing = timingOf(table, file);
  return checkSpec(
    {
      name: table.name,
      protocol: table.protocol,
      tCK_s: clock.period,
      organisation: {
        channels: o.channels,
        ranks: o.ranks,
        bankgroups: o.bankgroups,
        banks_per_group: o.banks_per_group,
        rows: o.rows,
        bursts_per_row: o.row / burst_B,
        burst_B,
      },
      timing,
      controller: {
        mapping: c.mapping,
        interleave_B: c.interleave,
        channel_hash: c.channel_hash,
        bank_hash: c.bank_hash,
        page: c.page,
        refresh: c.refresh,
        dual_command: c.dual_command,
        row_hit_limit: c.row_hit_limit,
        bank_queue: c.bank_queue,
        read_queue: c.read_queue,
        write_buffer: c.write_buffer,
        write_low: c.write_low,
        merge_B: burst_B,
      },
      energy: energyOf(table, timing, burst_B, file),
    },
    file,
  );
}

/** Times become whole cycles of this clock, rounded up; a thousandth of a cycle is forgiven, as JEDEC does. */
function timingOf({ organisation, clock, cycles, time }: DramTable, file: string): Record<Timing, number> {
  const written = cycles as Partial<Record<Timing, number>>;
  const times = time as Partial<Record<Timing, number>>;
  const out = { BL: Math.max(1, organisation.burst / clock.transfers) } as Record<Timing, number>;
  for (const name of WRITTEN) {
    const inCycles = written[name];
    const seconds = times[name];
    const inTime = seconds === undefined ? undefined : Math.ceil(seconds / clock.period - 1e-3);
    if (inCycles !== undefined || inTime !== undefined) out[name] = Math.max(inCycles ?? 0, inTime ?? 0);
    else if (name === 'tRC') out[name] = out.tRAS + out.tRP;
    else if ((OPTIONAL_TIMINGS as readonly string[]).includes(name)) out[name] = 0;
    else throw new InputError(`${name} is missing: it must stand in 'cycles' or in 'time'`, file);
  }
  return out;
}

function energyOf(table: DramTable, timing: Record<Timing, number>, burst_B: number, file: string): CommandEnergy {
  const { energy: e, currents, clock, organisation } = table;
  if ((e === undefined) === (currents === undefined))
    throw new InputError("expected either 'energy' or 'currents'", file);
  if (currents) {
    const c = currents as Record<string, number>;
    const ampere = (name: string) => c[name]! / 1e3;
    return energyOfCurrents(
      {
        VDD_V: c['VDD']!,
        IDD0_A: ampere('IDD0'),
        IDD2N_A: ampere('IDD2N'),
        IDD3N_A: ampere('IDD3N'),
        IDD4R_A: ampere('IDD4R'),
        IDD4W_A: ampere('IDD4W'),
        IDD5AB_A: ampere('IDD5AB'),
        IDD5PB_A: ampere('IDD5PB'),
      },
      timing,
      clock.period,
      organisation.devices,
    );
  }
  const pJ = 1e-12;
  return {
    activate_J: e!.activate * pJ,
    read_J: e!.read * burst_B * pJ,
    write_J: e!.write * burst_B * pJ,
    refresh_J: e!.refresh * pJ,
    refresh_bank_J: e!.refresh_bank * pJ,
    active_W: e!.active,
    idle_W: e!.idle,
  };
}
