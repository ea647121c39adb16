/** A SCALE-Sim configuration file: sections, keys and units are the tool's own (SRAM in KiB, words of one byte). */
import { InputError, nearestName, unknownName } from '../../base/errors.js';
import { iniLines } from '../../base/ini.js';
import { DATAFLOWS, type Dataflow } from '../../engine/systolic/dataflow.js';

export interface ScaleSimConfig {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  readonly dataflow: Dataflow;
  readonly sram_words: { readonly ifmap: number; readonly filter: number; readonly ofmap: number };
  /** Words a cycle of each interface; `unlimited` when the tool is to find out what it takes (`CALC`). */
  readonly bandwidth: { readonly ifmap: number; readonly filter: number; readonly ofmap: number };
  readonly unlimited: boolean;
  /** What was read but changes nothing here. */
  readonly warnings: readonly string[];
}

/** Keys that are read, by section, in lower case; the tool does not tell cases apart. */
const READ: Readonly<Record<string, readonly string[]>> = {
  general: ['run_name'],
  architecture_presets: [
    'arrayheight',
    'arraywidth',
    'ifmapsramszkb',
    'filtersramszkb',
    'ofmapsramszkb',
    'dataflow',
    'bandwidth',
  ],
  layout: ['ifmapcustomlayout', 'filtercustomlayout', 'ifmapsrambankbandwidth', 'filtersrambankbandwidth'],
  sparsity: ['sparsitysupport'],
  run_presets: ['interfacebandwidth', 'useramulatortrace'],
};

const ALL_READ = Object.values(READ).flat();

/** Keys that place or print things, or belong to what is switched off: no figure here depends on them. */
const SILENT: ReadonlySet<string> = new Set(
  'ifmapoffset filteroffset ofmapoffset ifmapsrambanknum ifmapsrambankport filtersrambanknum filtersrambankport sparserep optimizedmapping blocksize randomnumbergeneratorseed'.split(
    ' ',
  ),
);

/** Words a cycle of an interface where the file says none: the tool's own default. */
const DEFAULT_WIDTH = 10;

/** Whether a text looks like such a file: it has the section that no other tool's file has. */
export const isScaleSimConfig = (text: string): boolean => /^\s*\[\s*architecture_presets\s*\]/im.test(text);

/** @throws InputError with FILE:LINE for what is missing, unknown or not a number */
export function parseScaleSimConfig(text: string, file: string): ScaleSimConfig {
  const entries = new Map<string, { value: string; place: string }>();
  const warnings: string[] = [];
  const unknown: { key: string; place: string }[] = [];
  for (const { section: written, key: name, value, line, place } of iniLines(text, file, 'word')) {
    const section = written.toLowerCase();
    if (name === undefined) {
      if (!READ[section]) warnings.push(`section [${written}] (line ${line}) is not understood and left out`);
      continue;
    }
    const key = name.toLowerCase();
    const known = READ[section];
    if (!known) continue;
    if (known.includes(key)) entries.set(key, { value, place });
    else if (!SILENT.has(key)) {
      const near = nearestName(key, known);
      unknown.push({ key: name, place });
      warnings.push(
        `'${name}' (line ${line}) is not understood and left out${near ? `; did you mean '${near}'?` : ''}`,
      );
    }
  }

  const need = (key: string) => {
    const entry = entries.get(key);
    if (entry) return entry;
    const slip = unknown.find((u) => nearestName(u.key, ALL_READ) === key);
    if (slip) throw new InputError(`'${slip.key}' is not understood; did you mean '${key}'?`, slip.place);
    throw new InputError(`lacks '${key}'`, file);
  };
  const whole = (key: string, fallback?: number): number => {
    if (fallback !== undefined && !entries.has(key)) return fallback;
    const { value, place } = need(key);
    // one interface's figure stands for the others
    const n = Number(value.split(',')[0]);
    if (!Number.isInteger(n) || n < 1) throw new InputError(`${key} = '${value}': expected a whole number ≥ 1`, place);
    return n;
  };
  const on = (key: string): boolean => entries.get(key)?.value.toLowerCase() === 'true';

  const dataflow = need('dataflow');
  const name = dataflow.value.toLowerCase();
  if (!(DATAFLOWS as readonly string[]).includes(name))
    throw unknownName('dataflow', dataflow.value, DATAFLOWS, dataflow.place);
  const mode = entries.get('interfacebandwidth');
  if (mode && mode.value !== 'USER' && mode.value !== 'CALC')
    throw new InputError(`InterfaceBandwidth = '${mode.value}': expected USER or CALC`, mode.place);
  const unlimited = mode?.value !== 'USER';
  for (const [key, what] of [
    ['sparsitysupport', 'sparsity'],
    ['useramulatortrace', 'a Ramulator trace of DRAM latencies'],
    ['ifmapcustomlayout', 'a layout of its own for the input'],
    ['filtercustomlayout', 'a layout of its own for the filter'],
  ] as const)
    if (on(key)) warnings.push(`${what} (${key}) is not simulated: the result is without it`);

  const words = (key: string) => whole(key) * 1024;
  const cols = whole('arraywidth');
  const width = unlimited ? DEFAULT_WIDTH : whole('bandwidth', DEFAULT_WIDTH);
  return {
    name: entries.get('run_name')?.value || 'scale-sim',
    rows: whole('arrayheight'),
    cols,
    dataflow: name as Dataflow,
    sram_words: {
      ifmap: words('ifmapsramszkb'),
      filter: words('filtersramszkb'),
      ofmap: words('ofmapsramszkb'),
    },
    // as the tool does: reads over the banks' width where there is one, writes of an unlimited interface a row at a time
    bandwidth: {
      ifmap: unlimited ? DEFAULT_WIDTH : whole('ifmapsrambankbandwidth', width),
      filter: unlimited ? DEFAULT_WIDTH : whole('filtersrambankbandwidth', width),
      ofmap: unlimited ? cols : width,
    },
    unlimited,
    warnings,
  };
}
