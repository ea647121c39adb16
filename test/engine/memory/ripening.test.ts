/** The wheel of banks that wait: beside a plain list of when each gets ripe. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NEVER, PAST, REACH } from '../../../src/engine/memory/dram/cycles.js';
import { Ripening } from '../../../src/engine/memory/dram/ripening.js';

const RANKS = 2;
const PER_RANK = 8;
const KINDS = 3;

/** By rank and kind, the banks past their cycle. */
function expected(banks: readonly { kind: number; at: number }[], now: number): number[] {
  const masks = new Array<number>(RANKS * KINDS).fill(0);
  for (const [b, { kind, at }] of banks.entries())
    if (kind >= 0 && at <= now) masks[Math.floor(b / PER_RANK) * KINDS + kind]! |= 1 << (b % PER_RANK);
  return masks;
}

test('a bank gets ripe in its cycle, not one before, however far that lies and whatever time passes', () => {
  const step = fc.record({
    bank: fc.nat(RANKS * PER_RANK - 1),
    kind: fc.integer({ min: -1, max: KINDS - 1 }),
    ahead: fc.integer({ min: -5, max: 200 }),
    passed: fc.oneof(fc.nat(3), fc.nat(40), fc.nat(500)),
    epoch: fc.nat(9),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 200 }), (steps) => {
      const ripening = new Ripening(RANKS, Math.log2(PER_RANK), KINDS);
      const banks = Array.from({ length: RANKS * PER_RANK }, () => ({ kind: -1, at: 0 }));
      let now = 0;
      for (const { bank, kind, ahead, passed, epoch } of steps) {
        ripening.drop(bank);
        banks[bank] = { kind, at: now + ahead };
        if (kind >= 0) ripening.put(bank, kind, now + ahead);
        if (epoch === 0) {
          ripening.moveEpoch(now);
          for (const b of banks) b.at -= now;
          now = 0;
        }
        const waiting = banks.filter((b) => b.kind >= 0 && b.at > now).map((b) => b.at);
        expect(ripening.next).toBeLessThanOrEqual(Math.min(NEVER, ...waiting));
        now += passed;
        ripening.advance(now);
        expect([...ripening.ripe]).toEqual(expected(banks, now));
        expect(ripening.next).toBeGreaterThan(now);
      }
    }),
  );
});

test('over an epoch of any length a bank that was ripe stays so', () => {
  const ripening = new Ripening(1, 2, 1);
  ripening.put(1, 0, 20);
  ripening.put(2, 0, REACH - 1);
  ripening.moveEpoch(2 ** 45);
  ripening.advance(0);
  expect(ripening.ripe[0]).toBe(0b110);
  ripening.put(3, 0, PAST);
  expect(ripening.ripe[0]).toBe(0b1110);
});
