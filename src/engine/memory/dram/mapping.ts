/**
 * Address mapping: which channel, rank, bank, row and column a byte address falls on.
 *
 * A mapping names the six fields from the highest bits to the lowest, two letters each, as DRAMsim3 writes them:
 * `rochrababgco` is row, channel, rank, bank, bank group, column. Below the fields lie the bytes of one burst, or of
 * `interleave_B`: the low part of the column, that stays together whatever stands lowest. A number of channels that is no
 * power of two is split off by division at its place. A hash may turn the channels, each round of them by the number of
 * the round (the bits above), and another the banks of each row.
 */
import { InputError } from '../../../base/errors.js';
import type { Controller, Organisation } from './spec.js';

export const FIELDS = ['ro', 'ch', 'ra', 'ba', 'bg', 'co'] as const;
export type Field = (typeof FIELDS)[number];

/** Bits of a burst's number that one part of a field takes: from bit `at`, `mask` of them, put at bit `to`. */
interface Part {
  readonly at: number;
  readonly mask: number;
  readonly to: number;
}

/** Bursts are numbered in two halves, since bit operations hold 32 bits. */
const LOW_BITS = 30;
const LOW = 2 ** LOW_BITS;

/** @throws InputError unless `mapping` names each field once. */
export function fieldsOf(mapping: string, place?: string): Field[] {
  const fields = mapping.match(/../g) ?? [];
  const known: readonly string[] = FIELDS;
  const wrong = fields.find((f) => !known.includes(f));
  if (mapping.length !== 12 || wrong !== undefined || new Set(fields).size !== 6)
    throw new InputError(
      `address mapping '${mapping}' is not the six fields ${FIELDS.join(', ')} in some order, e.g. rochrababgco`,
      place,
    );
  return fields as Field[];
}

export class AddressMapping {
  /** Of the last `map`. Bank: over all ranks of the channel. */
  channel = 0;
  rank = 0;
  group = 0;
  bank = 0;
  row = 0;
  /** Number of the burst in the whole memory. */
  burst = 0;

  private readonly width: Record<Field, number>;
  private readonly order: Field[];
  private readonly low: Record<Field, Part>;
  /** The same of the fields that `map` wants, side by side: nearly all bursts lie below `LOW`. */
  private readonly near: Record<`${Exclude<Field, 'co'>}${'At' | 'Mask'}`, number>;
  private readonly high: Record<Field, Part>;
  /** Bits below the channel, as a factor, where the channels are no power of two. */
  private readonly below_channel: number;
  private readonly below_bits: number;
  /** Where they are no power of two; else 0. */
  private readonly divided: number;
  private readonly channels: number;
  private readonly turned: boolean;
  private readonly burst_B: number;
  private readonly interleave_B: number;
  private readonly groups: number;
  private readonly banks_per_group: number;
  private readonly hashed: boolean;
  /** Bytes that the fields span; addresses above wrap round. */
  readonly capacity_B: number;

  constructor(
    organisation: Organisation,
    controller: Pick<Controller, 'mapping' | 'channel_hash' | 'bank_hash' | 'interleave_B'>,
    place?: string,
  ) {
    const o = organisation;
    const binary = Number.isInteger(Math.log2(o.channels));
    this.channels = o.channels;
    this.divided = binary ? 0 : o.channels;
    this.turned = controller.channel_hash === 'turn';
    this.burst_B = o.burst_B;
    this.interleave_B = controller.interleave_B;
    this.groups = o.bankgroups;
    this.banks_per_group = o.banks_per_group;
    this.hashed = controller.bank_hash === 'row_xor';
    const together = Math.log2(controller.interleave_B / o.burst_B);
    this.width = {
      ro: Math.log2(o.rows),
      ch: binary ? Math.log2(o.channels) : 0,
      ra: Math.log2(o.ranks),
      ba: Math.log2(o.banks_per_group),
      bg: Math.log2(o.bankgroups),
      co: Math.log2(o.bursts_per_row) - together,
    };
    this.order = fieldsOf(controller.mapping, place);
    const low = {} as Record<Field, Part>;
    const high = {} as Record<Field, Part>;
    let position = together;
    let below_channel = 0;
    for (const field of [...this.order].reverse()) {
      const width = this.width[field];
      if (field === 'ch') below_channel = 2 ** position;
      const inLow = Math.max(0, Math.min(width, LOW_BITS - position));
      low[field] = { at: Math.min(position, LOW_BITS), mask: 2 ** inLow - 1, to: 0 };
      high[field] = { at: Math.max(0, position - LOW_BITS), mask: 2 ** (width - inLow) - 1, to: inLow };
      position += width;
    }
    this.low = low;
    this.near = {
      roAt: low.ro.at,
      roMask: low.ro.mask,
      chAt: low.ch.at,
      chMask: low.ch.mask,
      raAt: low.ra.at,
      raMask: low.ra.mask,
      bgAt: low.bg.at,
      bgMask: low.bg.mask,
      baAt: low.ba.at,
      baMask: low.ba.mask,
    };
    this.high = high;
    this.below_channel = below_channel;
    this.below_bits = Math.log2(below_channel);
    this.capacity_B = 2 ** position * o.burst_B * (binary ? 1 : o.channels);
  }

  /** Splits a byte address into the fields above. */
  map(address: number): void {
    let burst = Math.floor(address / this.burst_B);
    this.burst = burst;
    let channel = 0;
    let round = -1;
    if (this.divided !== 0) {
      if (burst < 0x80000000) {
        // whole numbers of 32 bits divide much faster
        const above = burst >>> this.below_bits;
        round = (above / this.divided) | 0;
        channel = above - round * this.divided;
        burst = (burst & (this.below_channel - 1)) + round * this.below_channel;
      } else {
        const above = Math.floor(burst / this.below_channel);
        round = Math.floor(above / this.divided);
        channel = above - round * this.divided;
        burst = (burst % this.below_channel) + round * this.below_channel;
      }
    }
    let row: number;
    let group: number;
    let bank: number;
    if (burst < LOW) {
      const { near } = this;
      if (this.divided === 0) channel = (burst >>> near.chAt) & near.chMask;
      row = (burst >>> near.roAt) & near.roMask;
      group = (burst >>> near.bgAt) & near.bgMask;
      bank = (burst >>> near.baAt) & near.baMask;
      this.rank = (burst >>> near.raAt) & near.raMask;
    } else {
      const high = Math.floor(burst / LOW) | 0;
      const low = burst % LOW;
      if (this.divided === 0) channel = this.part('ch', low, high);
      row = this.part('ro', low, high);
      group = this.part('bg', low, high);
      bank = this.part('ba', low, high);
      this.rank = this.part('ra', low, high);
    }
    if (this.turned) {
      if (round < 0) round = Math.floor(burst / (this.below_channel * this.channels));
      channel = (channel + turn(round)) % this.channels;
    }
    this.channel = channel;
    if (this.hashed) {
      group ^= row & (this.groups - 1);
      bank ^= (row >>> this.width.bg) & (this.banks_per_group - 1);
    }
    this.row = row;
    this.group = this.rank * this.groups + group;
    this.bank = this.group * this.banks_per_group + bank;
  }

  private part(field: Field, low: number, high: number): number {
    const l = this.low[field];
    const h = this.high[field];
    return ((low >>> l.at) & l.mask) | (((high >>> h.at) & h.mask) << h.to);
  }

  /** The address of a place: the inverse of `map`. Columns count pieces of `interleave_B`. */
  address(place: Readonly<Record<Field, number>>): number {
    const { ro } = place;
    const { channels, groups, banks_per_group } = this;
    const bg = this.hashed ? place.bg ^ (ro & (groups - 1)) : place.bg;
    const ba = this.hashed ? place.ba ^ ((ro >>> this.width.bg) & (banks_per_group - 1)) : place.ba;
    let burst = 0;
    for (const field of this.order) {
      if (field === 'ch') {
        const back = this.turned ? turn(burst) % channels : 0;
        burst = burst * channels + ((place.ch - back + channels) % channels);
      } else burst = burst * 2 ** this.width[field] + (field === 'bg' ? bg : field === 'ba' ? ba : place[field]);
    }
    return burst * this.interleave_B;
  }
}

/** By how many channels a round is turned: Fibonacci hashing (Knuth, TAOCP 3, 6.4). */
export function turn(round: number): number {
  const low = round < 0x80000000 ? round | 0 : (round % 0x80000000) | 0;
  return Math.imul(low ^ (low >>> 13), 0x9e3779b1) >>> 8;
}
