/**
 * Where everything in a take lies, counted from the playback frame S of its first sample.
 *
 * A sample that is played at frame p on a send is captured at p + L + the insert's own latency (L: loop latency of the interface).
 * Between two inserts the engine plays what it captured a fixed patch delay later. So result frame k of n inserts is capture frame
 * S + k + total, with total = n * L + sum of the inserts' latencies + (n - 1) * patch delay.
 */
import type { Hop } from './spec.js';

export interface Timeline {
  hops: {
    /** First playback frame of this insert's sends. */
    sendFrom: number;
    /** First capture frame of this insert's returns. */
    captureFrom: number;
  }[];
  interfaceFrames: number;
  patchFrames: number;
  totalFrames: number;
  /** Region and tail: what is recorded, and what passes through every insert. */
  resultFrames: number;
  /** One past the last captured frame. All sends are kept armed until here, so that time cannot pass unheard. */
  endFrame: number;
}

/** All values in frames of one stream; the positions in the result are relative to S. */
export function timelineOf(
  hops: readonly Hop[],
  resultFrames: number,
  loopLatencyFrames: number,
  patchDelayFrames: number,
): Timeline {
  let sendFrom = 0;
  const times = hops.map((hop) => {
    const captureFrom = sendFrom + loopLatencyFrames + hop.latencyFrames;
    const time = { sendFrom, captureFrom };
    sendFrom = captureFrom + patchDelayFrames;
    return time;
  });
  const totalFrames = sendFrom - patchDelayFrames;
  return {
    hops: times,
    interfaceFrames: hops.length * loopLatencyFrames,
    patchFrames: (hops.length - 1) * patchDelayFrames,
    totalFrames,
    resultFrames,
    endFrame: totalFrames + resultFrames,
  };
}
