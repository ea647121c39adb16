/**
 * A DRAMsim3 parameter file (`.ini`) as a DRAM spec. Names, units and defaults are DRAMsim3's (its Config class);
 * where it ignores what the file says, a warning says so.
 */
import { InputError, nearestName, unknownName } from '../../../base/errors.js';
import { iniLines } from '../../../base/ini.js';
import { energyOfCurrents } from './energy.js';
import { fieldsOf } from './mapping.js';
import { checkSpec, type DramSpec, type Organisation } from './spec.js';

/** How a protocol counts bursts and columns there, and what it has. */
interface Protocol {
  /** Transfers per cycle of the clock that the file's cycles are of. */
  readonly rate: number;
  /** Device-wide columns that one column of the file stands for. */
  readonly columns: (BL: number) => number;
  /** Reads and writes have row-to-column delays of their own. */
  readonly split_rcd: boolean;
  readonly dual_command: boolean;
  /** Has tPPD; has the window of 32 activations. */
  readonly ppd: boolean;
  readonly window_32: boolean;
}

const ddr: Protocol = {
  rate: 2,
  columns: () => 1,
  split_rcd: false,
  dual_command: false,
  ppd: false,
  window_32: false,
};
const gddr: Protocol = { ...ddr, rate: 4, columns: (BL) => BL, split_rcd: true, ppd: true, window_32: true };
const hbm: Protocol = { ...ddr, columns: () => 2, split_rcd: true, dual_command: true };

/** GDDR6's rate of 16 is DRAMsim3's; the standard's clock carries 8 transfers a pin. */
const PROTOCOLS = {
  DDR3: ddr,
  DDR4: ddr,
  LPDDR: ddr,
  LPDDR3: ddr,
  LPDDR4: { ...ddr, ppd: true },
  GDDR5: gddr,
  GDDR5X: { ...gddr, rate: 8 },
  GDDR6: { ...gddr, rate: 16 },
  HBM: hbm,
  HBM2: hbm,
} as const satisfies Record<string, Protocol>;

const SECTIONS = ['dram_structure', 'timing', 'power', 'system', 'other', 'thermal', 'hmc'] as const;

/** Keys that are read, by section; others are known to DRAMsim3 but change nothing here. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  dram_structure:
    'protocol bankgroups banks_per_group rows columns device_width BL bankgroup_enable num_dies hbm_dual_cmd'.split(
      ' ',
    ),
  timing:
    'tCK AL CL CWL tRCD tRCDRD tRCDWR tRP tRAS tRFC tRFC2 tRFC4 tRFCb tREFI tREFIb tRPRE tWPRE tRRD_S tRRD_L tWTR_S tWTR_L tFAW t32AW tWR tWR2 tRTP tRTP_L tRTP_S tCCD_S tCCD_L tCKE tCKESR tCKSRE tXS tXP tRTRS tPPD ideal_memory_latency tRREFD'.split(
      ' ',
    ),
  power: 'VDD IDD0 IPP0 IDD2P IDD2N IDD3P IDD3N IDD4W IDD4R IDD5AB IDD5PB IDD6x'.split(' '),
  system:
    'channel_size channels bus_width address_mapping queue_structure refresh_policy row_buf_policy cmd_queue_size trans_queue_size unified_queue write_buf_size enable_self_refresh sref_threshold aggressive_precharging_enabled mega_tick'.split(
      ' ',
    ),
  other: 'epoch_period output_level output_prefix'.split(' '),
};

interface Entry {
  readonly text: string;
  readonly line: number;
}

/** Sections and their keys. @throws InputError with FILE:LINE. */
function parse(text: string, file: string): Map<string, Map<string, Entry>> {
  const sections = new Map<string, Map<string, Entry>>();
  for (const { section: name, key, value, line, place } of iniLines(text, file, 'anywhere')) {
    if (key === undefined) {
      if (!(SECTIONS as readonly string[]).includes(name)) throw unknownName('section', name, SECTIONS, place);
      if (!sections.has(name)) sections.set(name, new Map());
      continue;
    }
    const section = sections.get(name);
    if (!section) throw new InputError(`'${key}' stands before the first [section]`, place);
    const known = KEYS[name];
    if (known && !known.includes(key)) throw unknownName(`key of [${name}]`, key, known, place);
    if (section.has(key))
      throw new InputError(`'${key}' stands here a second time (line ${section.get(key)!.line})`, place);
    section.set(key, { text: value, line });
  }
  return sections;
}

/** Reads typed values of one section. */
class Reader {
  constructor(
    private readonly sections: Map<string, Map<string, Entry>>,
    private readonly file: string,
  ) {}

  has(section: string, key: string): boolean {
    return this.sections.get(section)?.has(key) ?? false;
  }
  place(section: string, key: string): string {
    const line = this.sections.get(section)?.get(key)?.line;
    return line === undefined ? this.file : `${this.file}:${line}`;
  }
  text(section: string, key: string, otherwise: string): string {
    return this.sections.get(section)?.get(key)?.text ?? otherwise;
  }
  /** Without `otherwise` the key must be there. */
  number(section: string, key: string, otherwise?: number): number {
    const entry = this.sections.get(section)?.get(key);
    if (!entry) {
      if (otherwise !== undefined) return otherwise;
      throw new InputError(`'${key}' is missing in [${section}]`, this.file);
    }
    const value = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(entry.text) ? Number(entry.text) : Number.NaN;
    if (!Number.isFinite(value) || value < 0)
      throw new InputError(`${key}: expected a number from 0, got '${entry.text}'`, this.place(section, key));
    return value;
  }
  whole(section: string, key: string, otherwise?: number): number {
    const value = this.number(section, key, otherwise);
    if (!Number.isInteger(value))
      throw new InputError(`${key}: expected a whole number, got ${value}`, this.place(section, key));
    return value;
  }
  flag(section: string, key: string, otherwise: boolean): boolean {
    const text = this.text(section, key, String(otherwise)).toLowerCase();
    if (['true', 'yes', 'on', '1'].includes(text)) return true;
    if (['false', 'no', 'off', '0'].includes(text)) return false;
    throw new InputError(`${key}: expected true or false, got '${text}'`, this.place(section, key));
  }
  choice<T>(section: string, key: string, otherwise: string, choices: Readonly<Record<string, T>>): T {
    const text = this.text(section, key, otherwise);
    if (!Object.hasOwn(choices, text)) {
      const near = nearestName(text, Object.keys(choices));
      const known = `known: ${Object.keys(choices).join(', ')}`;
      throw new InputError(
        `${key}: '${text}' is not one of the choices${near ? `; did you mean '${near}'?` : ''} (${known})`,
        this.place(section, key),
      );
    }
    return choices[text]!;
  }
}

export interface ParsedIni {
  readonly spec: DramSpec;
  readonly warnings: readonly string[];
}

/**
 * dramsim3: as DRAMsim3 reads and schedules, so that its figures come out. written: read to precharge from tRTP_L and
 * tRTP_S, which it ignores, and HBM's two command buses used whenever two commands are ready.
 */
export const INI_READINGS = ['dramsim3', 'written'] as const;
export type IniReading = (typeof INI_READINGS)[number];

/** @throws InputError with FILE:LINE for anything wrong with the text. */
export function parseIni(text: string, file: string, reading: IniReading = 'dramsim3'): ParsedIni {
  const r = new Reader(parse(text, file), file);
  const warnings: string[] = [];
  const protocol = r.text('dram_structure', 'protocol', 'DDR3');
  if (!Object.hasOwn(PROTOCOLS, protocol))
    throw unknownName('protocol', protocol, Object.keys(PROTOCOLS), r.place('dram_structure', 'protocol'));
  const p: Protocol = PROTOCOLS[protocol as keyof typeof PROTOCOLS];
  const tCK_ns = r.number('timing', 'tCK');
  if (tCK_ns <= 0) throw new InputError(`tCK: expected a positive time in ns`, r.place('timing', 'tCK'));
  const { organisation, devices, burst } = organisationOf(r, p, warnings);
  const timing = timingOf(r, p, burst, reading, warnings);
  const grouped = organisation.bankgroups > 1;
  const t = grouped ? timing : { ...timing, tCCD_L: timing.tCCD_S, tWTR_L: timing.tWTR_S, tRRD_L: timing.tRRD_S };
  const power = (key: string, otherwise: number) => r.number('power', key, otherwise) / 1e3;
  const currents = {
    VDD_V: r.number('power', 'VDD', 1.2),
    IDD0_A: power('IDD0', 48),
    IDD2N_A: power('IDD2N', 34),
    IDD3N_A: power('IDD3N', 43),
    IDD4R_A: power('IDD4R', 135),
    IDD4W_A: power('IDD4W', 123),
    IDD5AB_A: power('IDD5AB', 250),
    IDD5PB_A: power('IDD5PB', 5),
  };
  if (r.text('system', 'queue_structure', 'PER_BANK') !== 'PER_BANK')
    throw new InputError(`queue_structure: only PER_BANK is modelled`, r.place('system', 'queue_structure'));
  for (const key of ['unified_queue', 'enable_self_refresh'])
    if (r.flag('system', key, false)) warnings.push(`${r.place('system', key)}: ${key} is not modelled and left out`);
  const mapping = r.text('system', 'address_mapping', 'chrobabgraco');
  fieldsOf(mapping, r.place('system', 'address_mapping'));
  const queue = r.whole('system', 'trans_queue_size', 32);
  const spec: DramSpec = {
    name: file.replace(/^.*[\\/]/, '').replace(/\.ini$/i, ''),
    protocol,
    tCK_s: tCK_ns * 1e-9,
    organisation,
    timing: t,
    controller: {
      mapping,
      interleave_B: organisation.burst_B,
      channel_hash: 'none',
      bank_hash: 'none',
      page: r.choice('system', 'row_buf_policy', 'OPEN_PAGE', { OPEN_PAGE: 'open', CLOSE_PAGE: 'closed' }),
      refresh: r.choice('system', 'refresh_policy', 'RANK_LEVEL_STAGGERED', {
        RANK_LEVEL_STAGGERED: 'all_bank',
        RANK_LEVEL_SIMULTANEOUS: 'together',
        BANK_LEVEL_STAGGERED: 'per_bank',
      }),
      row_hit_limit: 4,
      bank_queue: r.whole('system', 'cmd_queue_size', 16),
      read_queue: queue,
      write_buffer: queue,
      write_low: 8,
      dual_command:
        p.dual_command && r.flag('dram_structure', 'hbm_dual_cmd', true)
          ? reading === 'dramsim3'
            ? 'next_ready'
            : 'both'
          : 'none',
      // it compares whole addresses: requests to parts of one burst each take a burst
      merge_B: 1,
    },
    energy: energyOfCurrents(currents, t, tCK_ns * 1e-9, devices),
  };
  for (const [key, value] of [
    ['cmd_queue_size', spec.controller.bank_queue],
    ['trans_queue_size', queue],
  ] as const)
    if (value < 1) throw new InputError(`${key}: expected a whole number from 1`, r.place('system', key));
  return { spec: checkSpec(spec, file), warnings };
}

function organisationOf(r: Reader, p: Protocol, warnings: string[]) {
  const BL = r.whole('dram_structure', 'BL', 8);
  if (BL < 1 || !Number.isInteger(Math.log2(BL)))
    throw new InputError(`BL: expected a power of two, got ${BL}`, r.place('dram_structure', 'BL'));
  const device_width = r.whole('dram_structure', 'device_width', 8);
  const bus_width = r.whole('system', 'bus_width', 64);
  const devices = bus_width / device_width;
  if (!Number.isInteger(devices) || devices < 1)
    throw new InputError(
      `bus_width (${bus_width}) is not a multiple of device_width (${device_width})`,
      r.place('system', 'bus_width'),
    );
  const groups = r.whole('dram_structure', 'bankgroups', 2);
  const per_group = r.whole('dram_structure', 'banks_per_group', 2);
  const grouped = r.flag('dram_structure', 'bankgroup_enable', true);
  const rows = r.whole('dram_structure', 'rows', 65536);
  const columns = r.whole('dram_structure', 'columns', 1024) * p.columns(BL);
  const rank_B = (columns * bus_width * rows * groups * per_group) / 8;
  const channel_B = r.whole('system', 'channel_size', 1024) * 2 ** 20;
  if (channel_B < rank_B)
    warnings.push(
      `${r.place('system', 'channel_size')}: channel_size is below one rank of these devices (${rank_B / 2 ** 20} MiB); one rank is taken`,
    );
  const organisation: Organisation = {
    channels: r.whole('system', 'channels', 1),
    ranks: Math.max(1, Math.floor(channel_B / rank_B)),
    bankgroups: grouped ? groups : 1,
    banks_per_group: grouped ? per_group : groups * per_group,
    rows,
    bursts_per_row: columns / BL,
    burst_B: (bus_width / 8) * BL,
  };
  return { organisation, devices, burst: Math.max(1, BL / p.rate) };
}

function timingOf(r: Reader, p: Protocol, burst: number, reading: IniReading, warnings: string[]) {
  const t = (key: string, otherwise?: number) => r.whole('timing', key, otherwise);
  const AL = t('AL', 0);
  const rcd = p.split_rcd
    ? { tRCDRD: t('tRCDRD', 24), tRCDWR: t('tRCDWR', 20) }
    : { tRCDRD: t('tRCD', 10) - AL, tRCDWR: t('tRCD', 10) - AL };
  let tRTP = t('tRTP', 5);
  if (!r.has('timing', 'tRTP') && r.has('timing', 'tRTP_L')) {
    const written = Math.max(t('tRTP_L'), t('tRTP_S', 0));
    if (reading === 'written') tRTP = written;
    else if (written !== tRTP)
      warnings.push(
        `${r.place('timing', 'tRTP_L')}: DRAMsim3 ignores tRTP_L and tRTP_S (${written} cycles) and takes ${tRTP} from read to precharge; so is done here`,
      );
  }
  return {
    BL: burst,
    RL: AL + t('CL', 12),
    WL: AL + t('CWL', 12),
    ...rcd,
    tRP: t('tRP', 10),
    tRAS: t('tRAS', 24),
    tRC: t('tRAS', 24) + t('tRP', 10),
    tRTP: AL + tRTP,
    tWR: t('tWR', 10),
    tWTR_S: t('tWTR_S', 5),
    tWTR_L: t('tWTR_L', 5),
    tCCD_S: t('tCCD_S', 4),
    tCCD_L: t('tCCD_L', 6),
    tRRD_S: t('tRRD_S', 4),
    tRRD_L: t('tRRD_L', 4),
    tFAW: t('tFAW', 50),
    t32AW: p.window_32 ? t('t32AW', 330) : 0,
    tRTRS: t('tRTRS', 2),
    tPPD: p.ppd ? t('tPPD', 0) : 0,
    tRFC: t('tRFC', 74),
    tREFI: t('tREFI', 7800),
    tRFCpb: t('tRFCb', 20),
    tREFIpb: t('tREFIb', 1950),
    tRREFD: t('tRREFD', 0),
  };
}
