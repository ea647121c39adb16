/** Timeloop's `sparse_optimizations` as a sparsity. */
import { InputError, unknownName } from '../../base/errors.js';
import { RANK_FORMATS, type RankFormat, type Sparsity } from '../../kernel/sparsity.js';
import { levelNamed, type TimeloopMachine } from './architecture.js';
import { isNode, namesOf, Reader } from './read.js';

/** Other spellings of formats. */
const ALIASES: Readonly<Record<string, RankFormat>> = { BITMASK: 'B', UNCOMPRESSED: 'U' };

/** Undefined when nothing is said. @throws InputError */
export function sparsityFrom(
  root: Reader,
  machine: TimeloopMachine,
  ranks: readonly string[],
  tensors: readonly string[],
): Sparsity | undefined {
  const spec = root.child('sparse_optimizations');
  if (!spec) return undefined;
  spec.ignore('version');
  const formats: Sparsity['formats'] = [];
  const actions: Sparsity['actions'] = [];
  const compute = { gate_zero: false, skip_unaligned: false };
  const known = (name: string, place: string): string => {
    if (!tensors.includes(name)) throw unknownName('data space', name, tensors, place);
    return name;
  };
  for (const target of spec.children('targets')) {
    const name = target.text(['name'], '');
    const computes = target.list('compute_optimization');
    if (computes.length > 0) {
      for (const option of computes) {
        const r = new Reader(isNode(option) ? option : {}, `${target.place}.compute_optimization`, target.warnings);
        const type = r.text(['type'], '');
        if (type === 'gating' || r.any('gate_on_zero_operand', 'zero_gating') === true) compute.gate_zero = true;
        if (type === 'skipping' || r.any('skip_on_not_aligned_operands') === true) compute.skip_unaligned = true;
        r.done();
      }
    }
    const represented = target.child('representation_format');
    const level = represented || target.has('action_optimization') ? levelNamed(name, machine, target.place) : name;
    for (const space of represented?.children('data_spaces') ?? []) {
      formats.push({
        level,
        tensor: known(space.text(['name'], ''), space.place),
        ranks: space.children('ranks').map((r) => {
          const text = r.text(['format'], '').toUpperCase();
          const format = (RANK_FORMATS as readonly string[]).includes(text) ? (text as RankFormat) : ALIASES[text];
          if (!format) throw unknownName('format', text, RANK_FORMATS, r.place);
          const flatten = r.list('flattened_rankIDs').map((l) => namesOf(l, ranks));
          const bits = (key: string) => (r.has(key) ? r.number([key], 0) : undefined);
          const [md, pl] = [bits('metadata_word_bits'), bits('payload_word_bits')];
          r.done();
          return {
            format,
            ...(flatten.length > 0 && { flatten }),
            ...(md !== undefined && { metadata_bits: md }),
            ...(pl !== undefined && { payload_bits: pl }),
          };
        }),
      });
      if (space.text(['rank_application_order'], 'outer_to_inner').replaceAll('-', '_') !== 'outer_to_inner')
        space.warnings.push(`${space.place}: rank_application_order is left out: ranks are applied from the outermost`);
      space.done();
    }
    represented?.done();
    for (const action of target.children('action_optimization')) {
      const kind = action.text(['type'], '').replaceAll('-', '_');
      if (kind !== 'gating' && kind !== 'skipping') {
        if (kind === 'spatial_skipping') {
          action.warnings.push(`${action.place}: spatial_skipping is not understood and left out`);
          continue;
        }
        throw new InputError(`type '${kind}' is not known (known: gating, skipping)`, action.place);
      }
      actions.push({
        level,
        kind,
        options: action.children('options').map((o) => {
          const option = {
            target: known(o.text(['target'], ''), o.place),
            on: namesOf(o.any('condition_on'), tensors).map((t) => known(t, o.place)),
          };
          o.done();
          return option;
        }),
      });
      action.done();
    }
    target.done();
  }
  spec.done();
  const none = formats.length + actions.length === 0 && !compute.gate_zero && !compute.skip_unaligned;
  return none ? undefined : { formats, actions, compute };
}
