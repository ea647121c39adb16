/** Parts of the event engine by themselves: order of events, the cache, the raster, what the engine imports. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlockCache } from '../../src/engine/event/cache.js';
import { compileExpr } from '../../src/engine/event/expr.js';
import { EventHeap } from '../../src/engine/event/heap.js';
import { planOf, rasterise } from '../../src/engine/event/plan.js';
import { add, div, type Expr, evalExpr, lookup, loopVar, max, min, mod, mul, sub } from '../../src/kernel/ir.js';
import { simpleMachine } from './event-machine.js';

test('events come in order of time, and of their making where times are equal', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 20 })), { maxLength: 400 }), (steps) => {
      const heap = new EventHeap(2);
      let waiting: { time: number; id: number }[] = [];
      let id = 0;
      for (const time of steps) {
        if (time !== null) {
          heap.push(time, 1, id);
          waiting.push({ time, id: id++ });
          continue;
        }
        waiting.sort((a, b) => a.time - b.time || a.id - b.id);
        const first = waiting[0];
        expect(heap.pop()).toBe(first !== undefined);
        if (first) expect([heap.time, heap.arg]).toEqual([first.time, first.id]);
        waiting = waiting.slice(1);
      }
      expect(heap.length).toBe(waiting.length);
    }),
  );
});

test('the cache keeps what was touched last, as a list would', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 12 }),
      (seq, room) => {
        const cache = new BlockCache(10, room);
        // Block b takes 1 + b mod 3 bytes.
        const size = (b: number) => 1 + (b % 3);
        let list: number[] = [];
        for (const b of seq) {
          expect(cache.has(b)).toBe(list.includes(b));
          if (cache.has(b)) cache.touch(b);
          else cache.insert(b, size(b), 0, 0);
          list = [b, ...list.filter((x) => x !== b)];
          while (list.reduce((s, x) => s + size(x), 0) > room && list.length > 1) list.pop();
          if (size(b) > room) list = [];
          expect(cache.used_B).toBe(list.reduce((s, x) => s + size(x), 0));
        }
      },
    ),
  );
});

test('dirty bytes leave with their block, foreign ones first', () => {
  const cache = new BlockCache(4, 10);
  cache.fillWithForeign(0.5);
  cache.insert(0, 4, 0, 0);
  expect([cache.evicted_dirty_B, cache.evicted_foreign_B]).toEqual([0, 2]);
  cache.write(0, 100);
  expect(cache.dirtyBytes(0)).toBe(4);
  cache.insert(1, 6, 0, 0);
  expect([cache.evicted_dirty_B, cache.evicted_foreign_B]).toEqual([0, 3]);
  cache.insert(2, 1, 0, 0);
  expect([cache.evicted_dirty_B, cache.evicted_foreign_B]).toEqual([4, 0]);
  expect([cache.has(0), cache.has(1), cache.has(2)]).toEqual([false, true, true]);
});

test('compiled expressions give what evaluated ones do', () => {
  const vars = [loopVar('x'), loopVar('y'), loopVar('z')];
  const table = { name: 'lengths', values: [3, 1, 4, 1, 5, 9, 2, 6, 5, 3] };
  const { expr } = fc.letrec<{ expr: Expr }>((tie) => ({
    expr: fc.oneof(
      { maxDepth: 4 },
      fc.integer({ min: -5, max: 50 }),
      fc.constantFrom(...vars),
      fc.tuple(fc.constantFrom(add, sub, mul, min, max), tie('expr'), tie('expr')).map(([f, a, b]) => f(a, b)),
      fc.tuple(fc.constantFrom(div, mod), tie('expr'), fc.integer({ min: 1, max: 7 })).map(([f, a, b]) => f(a, b)),
      tie('expr').map((e) => lookup(table, mod(e, 10))),
    ),
  }));
  fc.assert(
    fc.property(expr, fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99)), (e, at) => {
      const places = new Map(vars.map((v, i) => [v, i]));
      const env = new Map(vars.map((v, i) => [v, at[i]!]));
      expect(compileExpr(e, places)(Int32Array.from([0, ...at]), 1)).toBe(evalExpr(e, env));
    }),
  );
  expect(() => compileExpr(loopVar('stranger'), new Map())).toThrow(/unbound index stranger/);
});

test('the raster goes panel by panel, the panel’s rows fastest', () => {
  const grid = [3, 5, 2].map((extent, d) => ({ index: loopVar(`g${d}`), extent }));
  const order = (panel: number) => {
    const program = { name: 'r', tensors: [], tiles: [], grid, body: [] };
    const mapping = { lanes: 32, partition: [1, 1], resident: 0, panel, mma: 'matrix' } as const;
    const plan = planOf({ program, mapping }, simpleMachine());
    return Array.from({ length: 30 }, (_, n) => {
      const env = new Int32Array(3);
      rasterise(plan, n, env, 0);
      return env.join('');
    });
  };
  expect(order(1).slice(0, 4)).toEqual(['000', '100', '200', '010']);
  expect(order(2).slice(0, 7)).toEqual(['000', '010', '100', '110', '200', '210', '020']);
  // The last panel is lower; then the next plane.
  expect(order(2).slice(12, 16)).toEqual(['040', '140', '240', '001']);
  for (const panel of [1, 2, 3, 5, 9]) expect(new Set(order(panel)).size).toBe(30);
});

test('the engine imports no other engine, no interpreter, no kernel and nothing of Node', () => {
  const folder = 'src/engine/event';
  const allowed =
    /^(\.\/|\.\.\/(energy|launch|timeline|types)\.js$|\.\.\/memory\/|\.\.\/\.\.\/(base|machine)\/|\.\.\/\.\.\/kernel\/(?!interpret|mapper)[a-z-]+\.js$)/;
  for (const file of readdirSync(folder)) {
    const text = readFileSync(`${folder}/${file}`, 'utf8');
    for (const [, from] of text.matchAll(/from '([^']+)'/g)) expect(from, file).toMatch(allowed);
  }
});
