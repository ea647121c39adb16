/** `tilewright reproduce [CLAIM…]`: published results beside simulated ones. */
import type { Command } from 'commander';
import type { Machine } from '../../machine/load.js';
import { quantity } from '../../report/format.js';
import { type Claim, METRICS, parseClaim, type Reproduced } from '../../validate/claim-schema.js';
import { machinesOf, reproduceClaim } from '../../validate/claims.js';
import { type TransformerModel, validateModel } from '../../workload/model.js';
import { findJson, listFiles, openMachine } from '../files.js';
import { type CommonOptions, common } from '../options.js';
import { emit } from '../output.js';
import { startProgress } from '../progress.js';
import { bold, dim, plainTable } from '../style.js';
import { openTrace } from '../workload.js';

interface Named {
  readonly name: string;
  readonly claim: Claim;
}

export function define(command: Command): void {
  common(command)
    .argument('[claims...]', 'names of claims, or paths to their files; all when none is given')
    .action(async (names: readonly string[], options: CommonOptions) => {
      const claims = (names.length > 0 ? names : listFiles('claims')).map((text): Named => {
        const { json, file, name } = findJson('claims', text);
        return { name, claim: parseClaim(json, file) };
      });
      const machines = new Map<string, Machine>();
      for (const { name, set, key } of claims.flatMap(({ claim }) => machinesOf(claim)))
        if (!machines.has(key)) machines.set(key, await openMachine(name, [...set]));
      const progress = await startProgress('claims', claims.length, options);
      const rows: Reproduced[] = [];
      try {
        for (const [i, { name, claim }] of claims.entries()) {
          rows.push(
            ...reproduceClaim(name, claim, {
              machine: (m) => machines.get(m)!.graph,
              model: openModel,
              workload: (text) => openTrace(text),
            }),
          );
          progress.update(i + 1);
        }
      } finally {
        progress.stop();
      }
      await emit(options, {
        json: () => ({ claims: rows }),
        text: () =>
          claims
            .map((c) =>
              claimText(
                c,
                rows.filter((r) => r.claim === c.name),
              ),
            )
            .join('\n\n'),
      });
    });
}

function openModel(name: string): TransformerModel {
  const { json, file } = findJson('models', name);
  return validateModel(json, file);
}

function claimText({ name, claim }: Named, rows: readonly Reproduced[]): string {
  const show = (value: number | null, unit: string) =>
    value === null ? { text: '–' } : { text: quantity(value, unit, 3), value };
  const percent = (r: number | null) => {
    if (r === null) return { text: '–' };
    const size = Math.abs(100 * r).toFixed(1);
    return { text: `${Number(size) === 0 ? '' : r > 0 ? '+' : '−'}${size} %`, value: r };
  };
  const off = rows.flatMap((r) => (r.residual === null ? [] : [Math.abs(r.residual)]));
  const mean = off.reduce((a, b) => a + b, 0) / off.length;
  const notes = [...new Set(rows.map((r) => r.note))];
  // a letter by each row says which note is its own
  const letter = (note: string) => String.fromCharCode(97 + notes.indexOf(note));
  const lettered = notes.length > 1 && notes.length <= 26;
  const sides = [
    { label: 'Baseline', setups: rows.map((r) => r.baseline) },
    { label: 'Treatment', setups: rows.map((r) => r.treatment) },
  ].flatMap(({ label, setups }) => {
    const all = [...new Set(setups.flatMap((t) => (t === null ? [] : [whatRuns(t)])))];
    if (all.length === 0) return [];
    return [dim(`${label}: ${all.length <= 3 ? all.join('; ') : `${all.length} kinds of runs, which --json tells`}`)];
  });
  return [
    `${bold(`${name}: ${claim.title}`)}\n${dim(claim.source)}`,
    plainTable(
      ['Case', 'Metric', 'Published', 'Simulated', 'Residual', ...(lettered ? ['Note'] : [])],
      rows.map((r) => [
        r.case,
        r.metric,
        show(r.published, r.unit),
        show(r.simulated, r.unit),
        percent(r.residual),
        ...(lettered ? [letter(r.note)] : []),
      ]),
    ),
    off.length > 1 ? `Mean |residual| ${(100 * mean).toFixed(1)} % over ${off.length} figures.` : '',
    ...sides,
    ...[...new Set(rows.map((r) => r.metric))].map((m) => dim(`${m}: ${METRICS[m].of}`)),
    ...notes.map((n) => (lettered ? `${letter(n)}: ${n}` : n)),
  ]
    .filter(Boolean)
    .join('\n');
}

/** The kernel or workload and the machine; what else differs, --json tells. */
const whatRuns = (setup: string): string =>
  setup.split(': ')[0]!.split(', ')[0]! + (setup.includes(', --set ') ? ', fields of it set' : '');
