/**
 * All channels, and the order in which requests reach them: one after another, each when the one before has been taken.
 * Channels meet only there, so each is run no further than to the next request that it gets.
 */
import { type ChannelCounts, type ChannelSink, DramChannel } from './channel.js';
import { compileConstraints, constraintsOf } from './constraints.js';
import { AddressMapping } from './mapping.js';
import { commandsOf, type DramSpec } from './spec.js';

export class DramSystem {
  readonly channels: readonly DramChannel[];
  readonly mapping: AddressMapping;
  private readonly merge_B: number;
  private readonly merge_bursts: boolean;

  constructor(
    readonly spec: DramSpec,
    sink: ChannelSink,
  ) {
    const constraints = compileConstraints(constraintsOf(spec.timing), commandsOf(spec.controller));
    this.mapping = new AddressMapping(spec.organisation, spec.controller, spec.name);
    this.merge_B = spec.controller.merge_B;
    this.merge_bursts = this.merge_B === spec.organisation.burst_B;
    this.channels = Array.from({ length: spec.organisation.channels }, () => new DramChannel(spec, constraints, sink));
  }

  /**
   * Gives a request that is there at `cycle` to its channel, as soon as that has room: the cycle at which it was taken,
   * or `limit` (and the request is not taken) when that would not be before `limit`.
   */
  offer(address: number, write: boolean, cycle: number, tag: number, limit = Number.POSITIVE_INFINITY): number {
    const { mapping } = this;
    mapping.map(address);
    const channel = this.channels[mapping.channel]!;
    const { bank, row, burst } = mapping;
    channel.runTo(cycle);
    let taken = cycle;
    while (!channel.accepts(write)) {
      const at = channel.wake;
      if (at + 1 >= limit) return limit;
      channel.step();
      taken = at + 1;
    }
    if (taken >= limit) return limit;
    channel.add(write, bank, row, this.merge_bursts ? burst : Math.floor(address / this.merge_B), burst, taken, tag);
    return taken;
  }

  /** Does all cycles before `end`. */
  runTo(end: number): void {
    for (const channel of this.channels) channel.runTo(end);
  }

  /** Serves everything that waits. */
  drain(): void {
    for (const channel of this.channels) {
      channel.flush();
      while (channel.waiting > 0) channel.step();
    }
  }

  counts(): ChannelCounts {
    const total = { ...this.channels[0]!.counts };
    for (const channel of this.channels.slice(1))
      for (const key of Object.keys(total) as (keyof ChannelCounts)[]) total[key] += channel.counts[key];
    return total;
  }

  /** Rank-cycles with a row open until `end`, over all channels. */
  openCycles(end: number): number {
    return this.channels.reduce((sum, c) => sum + c.openCycles(end), 0);
  }
}
