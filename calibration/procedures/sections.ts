/**
 * Stimuli in a row in one take: a tone after a tone, each with time to settle, and the parts of the capture that belong to them. One take for
 * many tones spares the gear and the clock the ends of many takes.
 */
import type { LoopInsert } from '../loop.js';
import { fade } from '../signals/signals.js';
import type { ProcedureContext } from './procedure.js';

export interface Section {
  /** The stimulus for any number of frames; it goes on through the settling. */
  signal(frames: number): Float64Array;
  /** Frames that are analyzed. */
  frames: number;
  /** Channels of the insert that are driven, from 0; the others are silent. */
  drives(channel: number): boolean;
}

/** Relays, servos and the transients of filters have passed. */
const SETTLE_SECONDS = 0.1;
const FADE_SECONDS = 0.005;
/** After the last section, so that the slowest channel's part is whole. */
const SPARE_FRAMES = 256;

/**
 * @param delayFrames by which the insert is late, as it was just measured
 * @param o.label what people are told, when the fraction `o.at` of the whole is done; `o.listen`: other inserts to be recorded meanwhile
 * @returns for each section one array per channel of the insert, then one per channel of each insert that was listened to
 * @throws what the loop throws
 */
export async function playSections(
  { loop, signal, step }: ProcedureContext,
  sections: readonly Section[],
  delayFrames: number,
  o: { label: string; at: number; listen?: readonly LoopInsert[] },
): Promise<Float64Array[][]> {
  step(o.label, o.at);
  const settle = Math.round(SETTLE_SECONDS * loop.rate);
  const fadeFrames = Math.round(FADE_SECONDS * loop.rate);
  const late = Math.round(delayFrames);
  const total = sections.reduce((sum, { frames }) => sum + settle + frames + late + fadeFrames, 0);
  const sends = Array.from({ length: loop.insert.channels }, () => new Float64Array(total));
  const starts: number[] = [];
  let at = 0;
  for (const section of sections) {
    // As long as the insert is late besides: what leaks past it is heard at once, and must still be there.
    const length = settle + section.frames + late + fadeFrames;
    const stimulus = fade(section.signal(length), fadeFrames);
    sends.forEach((send, channel) => {
      if (section.drives(channel)) send.set(stimulus, at);
    });
    starts.push(at + settle);
    at += length;
  }
  const listen = (o.listen ?? []).map(({ name }) => name);
  const heard = await loop.play(sends, { tailFrames: late + SPARE_FRAMES, listen, signal });
  const returns = [...heard.returns, ...listen.flatMap((name) => heard.others.get(name)!)];
  return sections.map(({ frames }, i) =>
    returns.map((back) => back.slice(starts[i]! + late, starts[i]! + late + frames)),
  );
}

export const everyChannel = (): boolean => true;

/** The power of two of frames that lasts at least `seconds`, and `periods` of `hz`. */
export function sectionFrames(rate: number, seconds: number, hz = Number.POSITIVE_INFINITY, periods = 24): number {
  return 2 ** Math.ceil(Math.log2(Math.max(seconds * rate, (periods * rate) / hz)));
}
