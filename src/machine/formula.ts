/**
 * Formulas over other fields of the same file: "= sm.count * 64", "=min(clock.boost, 1.7e9)". Fields have their base
 * units (bytes, Hz, s, …) and so has the result. mathjs parses and evaluates; it takes a moment to load, so it is
 * imported only when a file holds a formula. Arithmetic, comparisons, `? :` and a few functions are allowed, nothing else.
 */
import type { MathNode } from 'mathjs';
import { InputError, unknownName } from '../base/errors.js';

export function isFormula(text: unknown): text is string {
  return typeof text === 'string' && text.trimStart().startsWith('=');
}

const FUNCTIONS = ['min', 'max', 'floor', 'ceil', 'round', 'sqrt', 'pow', 'abs', 'log2', 'exp'];
const OPERATORS = [
  'add',
  'subtract',
  'multiply',
  'divide',
  'pow',
  'mod',
  'unaryMinus',
  'unaryPlus',
  'smaller',
  'larger',
  'smallerEq',
  'largerEq',
  'equal',
  'unequal',
  'and',
  'or',
  'not',
];
const MAX_LENGTH = 400;

export interface Formula {
  /** Paths of the fields it reads. */
  readonly reads: readonly string[];
  /** `values` must hold every path of `reads`. */
  evaluate(values: ReadonlyMap<string, number>): number;
}

export type FormulaParser = (text: string, place: string, known: () => readonly string[]) => Formula;

/** Loads mathjs and returns a parser of formulas. */
export async function formulaParser(): Promise<FormulaParser> {
  const math = await import('mathjs/number');
  return (text, place, known) => {
    const body = text.trimStart().slice(1);
    if (body.length > MAX_LENGTH) throw new InputError(`formula is longer than ${MAX_LENGTH} characters`, place);
    let root: MathNode;
    try {
      root = math.parse(body) as MathNode;
    } catch (error) {
      throw new InputError(`cannot read the formula '${text}': ${(error as Error).message}`, place);
    }
    const reads = new Set<string>();
    const names = known();
    const check = (node: MathNode): void => {
      const path = fieldOf(node);
      if (path !== undefined) {
        if (!names.includes(path)) throw unknownName('field', path, names, `${place}: formula '${text}'`);
        reads.add(path);
        return;
      }
      const n = node as unknown as { type: string; fn?: { name?: string }; value?: unknown };
      const allowed =
        (n.type === 'ConstantNode' && typeof n.value === 'number') ||
        n.type === 'ParenthesisNode' ||
        n.type === 'ConditionalNode' ||
        (n.type === 'OperatorNode' && OPERATORS.includes(String(n.fn))) ||
        n.type === 'FunctionNode';
      if (!allowed) throw new InputError(`the formula '${text}' may hold only arithmetic over fields`, place);
      if (n.type === 'FunctionNode') {
        const name = n.fn?.name ?? '';
        if (!FUNCTIONS.includes(name)) throw unknownName('function', name, FUNCTIONS, `${place}: formula '${text}'`);
        for (const argument of (node as unknown as { args: MathNode[] }).args) check(argument);
        return;
      }
      node.forEach((child) => {
        check(child);
      });
    };
    check(root);
    const code = root.compile();
    return {
      reads: [...reads],
      evaluate(values) {
        const scope: Record<string, unknown> = {};
        for (const path of reads) place_(scope, path.split('.'), values.get(path)!);
        let result: unknown;
        try {
          result = code.evaluate(scope);
        } catch (error) {
          throw new InputError(`cannot evaluate '${text}': ${(error as Error).message}`, place);
        }
        if (typeof result !== 'number' || !Number.isFinite(result))
          throw new InputError(`the formula '${text}' gives ${String(result)}, expected a finite number`, place);
        return result;
      },
    };
  };
}

/** "l2.capacity" when the node is a name or a chain of names; undefined otherwise. */
function fieldOf(node: MathNode): string | undefined {
  const n = node as unknown as {
    type: string;
    name?: string;
    object?: MathNode;
    index?: { dotNotation?: boolean; dimensions?: { value?: unknown }[] };
  };
  if (n.type === 'SymbolNode') return n.name;
  if (n.type !== 'AccessorNode' || !n.index?.dotNotation) return undefined;
  const parent = n.object && fieldOf(n.object);
  return parent === undefined ? undefined : `${parent}.${String(n.index.dimensions?.[0]?.value)}`;
}

function place_(scope: Record<string, unknown>, keys: string[], value: number): void {
  let at = scope;
  for (const key of keys.slice(0, -1)) {
    at[key] ??= {};
    at = at[key] as Record<string, unknown>;
  }
  at[keys.at(-1)!] = value;
}
