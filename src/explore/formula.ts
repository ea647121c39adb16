/**
 * Formulas of design spaces: arithmetic, comparisons and a few functions over named values, by mathjs (its build for
 * plain numbers, loaded only when a formula is). Assignments, own functions and everything else of mathjs is refused,
 * so that a space from somebody else can do no more than arithmetic.
 */
import type { EvalFunction, MathNode } from 'mathjs';
import { InputError, nearestName } from '../base/errors.js';

const FUNCTIONS = ['abs', 'cbrt', 'ceil', 'exp', 'floor', 'log', 'log10', 'log2', 'max', 'mean', 'min', 'mod', 'pow'];
const MORE = ['round', 'sign', 'sqrt', 'sum', 'equalText'];
export const FORMULA_FUNCTIONS: readonly string[] = [...FUNCTIONS, ...MORE];
export const FORMULA_CONSTANTS: readonly string[] = ['pi', 'e'];
const OPERATORS = new Set(['+', '-', '*', '/', '^', '%', 'mod', '==', '!=', '<', '<=', '>', '>=', 'and', 'or', 'not']);

/** What names stand for; values are made when they are asked for. */
export interface Scope {
  has(name: string): boolean;
  get(name: string): unknown;
}

export interface Formula {
  readonly text: string;
  /** Names it reads, constants left out: "time_s", or a whole path: "machine.dram.bandwidth". */
  readonly reads: readonly string[];
  /** Throws InputError when a value is missing or is not something to calculate with. */
  evaluate(scope: Scope): unknown;
}

export type Compile = (text: string, place: string) => Formula;

let loading: Promise<Compile> | undefined;

/** Loads mathjs (a third of a second) and returns the compiler. */
export function formulas(): Promise<Compile> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Compile> {
  const { create, all } = await import('mathjs/number');
  const math = create(all!, {});

  function checked(node: MathNode, fail: (what: string) => never): void {
    if (math.isOperatorNode(node)) {
      if (!OPERATORS.has(node.op)) fail(`the operator '${node.op}'`);
    } else if (math.isFunctionNode(node)) {
      const name = math.isSymbolNode(node.fn) ? node.fn.name : String(node.fn);
      if (!FORMULA_FUNCTIONS.includes(name)) {
        const near = nearestName(name, FORMULA_FUNCTIONS);
        fail(`the function '${name}'${near ? ` (did you mean '${near}'?)` : ''}`);
      }
    } else if (math.isAccessorNode(node)) {
      if (pathOf(node) === undefined) fail(`'${node.toString()}'`);
    } else if (math.isConstantNode(node)) {
      if (node.value === undefined || node.value === null) fail('nothing');
    } else if (!ALLOWED.has(node.type)) fail(`'${node.toString()}'`);
  }

  /** "machine.dram.bandwidth" of nested accessors by name; undefined when something else stands in between. */
  function pathOf(node: MathNode): string | undefined {
    if (math.isSymbolNode(node)) return node.name;
    if (!math.isAccessorNode(node)) return undefined;
    const index = node.index as unknown as { dotNotation?: boolean };
    const parent = pathOf(node.object);
    return parent !== undefined && index.dotNotation ? `${parent}.${node.name}` : undefined;
  }

  function readsOf(root: MathNode): string[] {
    const found = new Set<string>();
    const visit = (node: MathNode): void => {
      const path = pathOf(node);
      if (path !== undefined) {
        if (!FORMULA_CONSTANTS.includes(path)) found.add(path);
      } else if (math.isFunctionNode(node)) node.args.forEach(visit);
      else node.forEach(visit);
    };
    visit(root);
    return [...found];
  }

  /** mathjs compares numbers only: == beside a text becomes equalText. */
  function texts(node: MathNode): MathNode {
    if (!math.isOperatorNode(node) || (node.op !== '==' && node.op !== '!=')) return node;
    const isText = (n: MathNode) => math.isConstantNode(n) && typeof n.value === 'string';
    if (!node.args.some(isText)) return node;
    const same = new math.FunctionNode('equalText', node.args);
    return node.op === '==' ? same : new math.OperatorNode('not', 'not', [same]);
  }

  return (text, place) => {
    let root: MathNode;
    try {
      root = math.parse(text);
    } catch (error) {
      throw new InputError(`cannot read the formula '${text}': ${(error as Error).message}`, place);
    }
    root.traverse((node) =>
      checked(node, (what) => {
        throw new InputError(`${what} cannot stand in a formula: '${text}'`, place);
      }),
    );
    const code: EvalFunction = root.transform(texts).compile();
    return {
      text,
      reads: readsOf(root),
      evaluate(scope) {
        const view = { has: scope.has, get: scope.get, keys: () => [], set() {} };
        try {
          return code.evaluate(view as unknown as object);
        } catch (error) {
          if (!(error instanceof TypeError || error instanceof Error) || 'exitCode' in error) throw error;
          throw new InputError(`cannot calculate '${text}': ${error.message}`, place);
        }
      },
    };
  };
}

const ALLOWED = new Set([
  'ConstantNode',
  'SymbolNode',
  'ParenthesisNode',
  'ConditionalNode',
  'RelationalNode',
  'IndexNode',
]);
