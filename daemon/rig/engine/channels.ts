/** Picking channels out of interleaved blocks. Channels count from 1, as they do on the interface's panel. */

/** A stretch of neighbouring interface channels that one write can carry. */
export interface ChannelRun {
  firstChannel: number;
  count: number;
  /** Where its first channel stands in the take's own frame, from 0. */
  index: number;
}

/** Splits a list such as [1, 2, 7] into runs of neighbours. */
export function runsOf(channels: readonly number[]): ChannelRun[] {
  const runs: ChannelRun[] = [];
  channels.forEach((channel, index) => {
    const last = runs.at(-1);
    if (last && channel === last.firstChannel + last.count) last.count++;
    else runs.push({ firstChannel: channel, count: 1, index });
  });
  return runs;
}

/** Copies `frames` frames of `picked` (from 1) out of `block`, which is `width` wide, from frame `first` on. */
export function gather(
  block: Int32Array,
  width: number,
  first: number,
  frames: number,
  picked: readonly number[],
  into: Int32Array,
): void {
  const wide = picked.length;
  for (let index = 0; index < wide; index++) {
    let from = first * width + picked[index]! - 1;
    for (let to = index; to < frames * wide; to += wide) {
      into[to] = block[from]!;
      from += width;
    }
  }
}
