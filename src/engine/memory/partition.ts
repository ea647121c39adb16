/**
 * Some of a memory's channels standing for all: the lines that lie on them, numbered densely, so that a memory of just
 * so many channels, behind as large a part of the cache, sees what they would see. Pieces go round the channels, each
 * round starting at one that depends on the round (a hash, as controllers of GPUs have it), so no stride stays on a few
 * channels and each is as good a sample as any. With all channels kept it only hashes.
 *
 * Sampling parts of a cache by address, rather than stretches of time, keeps every kept set exact (Kessler, Hill and
 * Wood, "A comparison of trace-sampling techniques for multi-megabyte caches", IEEE Trans. Computers 43(6), 1994).
 */
import { turn } from './dram/mapping.js';

export class Partition {
  /** Lines that lie side by side on a channel. */
  private readonly together: number;

  /** `below_B`: aligned bytes that lie on one channel, whole lines. */
  constructor(
    readonly channels: number,
    readonly kept: number,
    below_B: number,
    line_B: number,
  ) {
    this.together = Math.max(1, Math.floor(below_B / line_B));
  }

  /** How many times the kept channels are the whole. */
  get scale(): number {
    return this.channels / this.kept;
  }

  /** Dense lines of one round over the kept channels. */
  get round(): number {
    return this.kept * this.together;
  }

  /** The dense number of a line, or -1 when it lies on a channel that is left out. */
  dense(line: number): number {
    const { channels, kept, together } = this;
    const piece = Math.floor(line / together);
    const round = Math.floor(piece / channels);
    const channel = (piece - round * channels + turn(round)) % channels;
    return channel < kept ? (round * kept + channel) * together + (line - piece * together) : -1;
  }

  /** The line of a dense number. */
  line(dense: number): number {
    const { channels, kept, together } = this;
    const piece = Math.floor(dense / together);
    const round = Math.floor(piece / kept);
    const place = (piece - round * kept - (turn(round) % channels) + channels) % channels;
    return (round * channels + place) * together + (dense - piece * together);
  }
}
