/** Short names for runs: of machine and workload only what tells them from each other. */

interface Named {
  readonly machine: string;
  readonly workload: string;
}

/** "llama-2-7b:decode,batch=8,context=1024" in parts; any other text is a model by itself. */
function partsOf(workload: string): { model: string; phase: string; parameters: string[] } {
  const colon = workload.indexOf(':');
  if (colon < 0) return { model: workload, phase: '', parameters: [] };
  const [phase = '', ...parameters] = workload.slice(colon + 1).split(',');
  return { model: workload.slice(0, colon), phase, parameters };
}

/**
 * A label per run. Model and phase are left out where all runs share them, a parameter where all runs of that model
 * and phase do, the machine where there is one. A run alone keeps its whole name; equal labels are numbered.
 */
export function labelsOf(runs: readonly Named[]): string[] {
  if (runs.length === 1) return [`${runs[0]!.workload} on ${runs[0]!.machine}`];
  const parts = runs.map((run) => partsOf(run.workload));
  const several = (values: readonly string[]) => new Set(values).size > 1;
  const models = several(parts.map((p) => p.model));
  const phases = several(parts.map((p) => p.phase));
  const machines = several(runs.map((run) => run.machine));
  const seen = new Map<string, number>();
  return runs.map((run, i) => {
    const own = parts[i]!;
    const kin = parts.filter((p) => p.model === own.model && p.phase === own.phase);
    const words = [
      ...(models ? [own.model] : []),
      ...(phases && own.phase ? [own.phase] : []),
      ...own.parameters.filter((parameter) => !kin.every((p) => p.parameters.includes(parameter))),
    ];
    const what = words.join(' ');
    const short = machines ? (what ? `${what} on ${run.machine}` : run.machine) : what || run.workload;
    const n = (seen.get(short) ?? 0) + 1;
    seen.set(short, n);
    return n === 1 ? short : `${short} (${n})`;
  });
}

/** What several workloads have in common: the one, "llama-2-7b prefill", "llama-2-7b", or how many there are. */
export function workloadsInCommon(workloads: readonly string[]): string {
  const different = [...new Set(workloads)];
  if (different.length === 1) return different[0]!;
  const parts = different.map(partsOf);
  const one = (values: readonly string[]) => (new Set(values).size === 1 ? values[0]! : undefined);
  const model = one(parts.map((p) => p.model));
  const phase = one(parts.map((p) => p.phase));
  if (!model) return different.length === 2 ? different.join(' and ') : `${different.length} workloads`;
  return phase ? `${model} ${phase}` : model;
}
