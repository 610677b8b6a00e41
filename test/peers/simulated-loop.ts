/** An insert whose every figure is known: gain, polynomial, first-order low-pass, delay, crosstalk and white noise, in float64. */
import type { Capture, Loop, PlayOptions } from '../../calibration/loop.js';

export interface SimulatedPath {
  gainDb?: number;
  /** Of x^2, x^3, … */
  poly?: number[];
  lowpassHz?: number;
  delayFrames?: number;
  /** A full-scale sine is 0 dBFS. */
  noiseDbfs?: number;
  crosstalkDb?: number;
  inverted?: boolean;
  /** Sample values beyond are cut, as a converter or an amplifier does. */
  clip?: number;
  /** At the returns, whatever is played. */
  hum?: { hz: number; dbfs: number };
  /** From every send to the other returns, past the insert and its delay. */
  earlyLeakDb?: number;
  /** A mono insert `b` that hears the first channel so much. */
  neighbourDb?: number;
  /** Channels (from 0) whose cable is out. */
  out?: number[];
}

export interface SimulatedLoop extends Loop {
  /** What was played, in order. */
  readonly plays: { sends: readonly (Float64Array | null)[]; seconds: number }[];
}

export function simulatedLoop(
  path: SimulatedPath,
  o: { rate?: number; channels?: number; ceilingDbfs?: number } = {},
): SimulatedLoop {
  const { rate = 48_000, channels = 2, ceilingDbfs = 0 } = o;
  const gaussian = gaussianSource(12_345);
  const plays: SimulatedLoop['plays'] = [];
  const through = (send: Float64Array | null, frames: number): Float64Array => {
    const {
      gainDb = 0,
      poly = [],
      delayFrames = 0,
      lowpassHz,
      inverted = false,
      clip = Number.POSITIVE_INFINITY,
    } = path;
    const gain = (inverted ? -1 : 1) * 10 ** (gainDb / 20);
    const k = lowpassHz === undefined ? null : Math.tan((Math.PI * lowpassHz) / rate);
    const y = new Float64Array(frames);
    let [x1, y1] = [0, 0];
    for (let n = 0; n + delayFrames < frames; n++) {
      const x = send?.[n] ?? 0;
      let bent = poly.reduce((sum, a, i) => sum + a * x ** (i + 2), x);
      bent = Math.max(-clip, Math.min(clip, bent));
      if (k !== null) {
        const low: number = (k * (bent + x1) + (1 - k) * y1) / (1 + k);
        [x1, y1] = [bent, low];
        bent = low;
      }
      y[n + delayFrames] = gain * bent;
    }
    return y;
  };
  return {
    insert: { name: 'a', channels, latencyFrames: path.delayFrames ?? 0 },
    others: path.neighbourDb === undefined ? [] : [{ name: 'b', channels: 1, latencyFrames: 0 }],
    rate,
    ceilingDbfs,
    plays,
    async play(
      sends: readonly (Float64Array | null)[],
      { tailFrames, signal, listen = [] }: PlayOptions,
    ): Promise<Capture> {
      signal.throwIfAborted();
      const length = Math.max(...sends.map((send) => send?.length ?? 0));
      const frames = length + tailFrames;
      plays.push({ sends, seconds: length / rate });
      const clean = sends.map((send, i) => (path.out?.includes(i) ? new Float64Array(frames) : through(send, frames)));
      const leak = path.crosstalkDb === undefined ? 0 : 10 ** (path.crosstalkDb / 20);
      const sigma = path.noiseDbfs === undefined ? 0 : 10 ** (path.noiseDbfs / 20) * Math.SQRT1_2;
      const returns = clean.map((own, i) =>
        Float64Array.from(own, (x, n) => {
          let y = x;
          if (leak > 0) for (let j = 0; j < clean.length; j++) if (j !== i) y += leak * clean[j]![n]!;
          if (path.hum) y += 10 ** (path.hum.dbfs / 20) * Math.sin((2 * Math.PI * path.hum.hz * n) / rate);
          if (path.earlyLeakDb !== undefined)
            for (let j = 0; j < sends.length; j++)
              if (j !== i) y += 10 ** (path.earlyLeakDb / 20) * (sends[j]?.[n] ?? 0);
          return sigma > 0 ? y + sigma * gaussian() : y;
        }),
      );
      const heard = returns[0]!.map((x) => x * 10 ** ((path.neighbourDb ?? 0) / 20));
      return { returns, others: new Map(listen.map((name) => [name, [heard]])) };
    },
  };
}

function gaussianSource(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32 + 1e-12;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
