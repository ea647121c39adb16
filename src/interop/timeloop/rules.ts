/** Timeloop's constraints as rules of a space of nests. */
import type { LevelRule, NestRules } from '../../kernel/nest-space.js';
import type { Target } from './targets.js';

export function rulesOf(targets: readonly Target[]): NestRules {
  const rules: Record<string, LevelRule> = {};
  for (const t of targets) {
    const rule = rules[t.level] ?? {};
    const slot = (before: LevelRule['temporal']) => ({
      factors: { ...before?.factors, ...t.factors },
      most: { ...before?.most, ...t.most },
      ...((t.permutation ?? before?.permutation) && { permutation: t.permutation ?? before!.permutation! }),
      ...((t.split ?? before?.split) !== undefined && { split: t.split ?? before!.split! }),
    });
    rules[t.level] =
      t.type === 'bypass'
        ? { ...rule, keep: [...(rule.keep ?? []), ...t.keep], bypass: [...(rule.bypass ?? []), ...t.bypass] }
        : { ...rule, [t.type]: slot(rule[t.type]) };
  }
  return rules;
}
