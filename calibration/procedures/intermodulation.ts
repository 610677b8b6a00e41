/** Two tones: SMPTE RP120 (60 Hz and 7 kHz, 4:1) and the difference frequency of IEC 60268-3 14.12.8 (19 and 20 kHz, 1:1). */
import { twoTones } from '../signals/signals.js';
import { highDbfs } from './distortion.js';
import { spread } from './findings.js';
import type { LocatedProcedure } from './located.js';
import { everyChannel, playSections, sectionFrames } from './sections.js';

const SMPTE_HZ = [60, 7000] as const;
const DFD_HZ = [19_000, 20_000] as const;

export const measureIntermodulation: LocatedProcedure = async (context, delay) => {
  const { loop, analyst } = context;
  const { rate } = loop;
  const peakDbfs = highDbfs(context);
  const pair = (hz: readonly [number, number], ratio: number, seconds: number) => ({
    signal: (frames: number) => twoTones(rate, hz, ratio, peakDbfs, frames),
    frames: sectionFrames(rate, seconds),
    drives: everyChannel,
  });
  const sections = [pair(SMPTE_HZ, 4, 1), pair(DFD_HZ, 1, 0.5)];
  const [smpte, dfd] = await playSections(context, sections, delay, { label: 'intermodulation', at: 0.2 });
  return spread(
    await Promise.all(
      smpte!.map((samples, i) =>
        analyst.analyze('intermodulation', { smpte: samples, dfd: dfd![i]!, rate, channel: i + 1, peakDbfs }),
      ),
    ),
  );
};
