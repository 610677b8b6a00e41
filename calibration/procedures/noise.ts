/** Idle noise (AES17-2015 6.4.2): the rig plays digital silence; every weighting, the density, the lines of the mains. */

import { spread } from './findings.js';
import type { LocatedProcedure } from './located.js';
import { everyChannel, playSections, sectionFrames } from './sections.js';

/** 50 and 60 Hz, and the lobe of 0 Hz, lie apart; the flat figure is sure to 0.02 dB. */
const SECONDS = 2.05;

export const measureNoise: LocatedProcedure = async (context, delay) => {
  const { loop, analyst, fullScaleDbu } = context;
  const section = {
    signal: (frames: number) => new Float64Array(frames),
    frames: sectionFrames(loop.rate, SECONDS),
    drives: everyChannel,
  };
  const [captured] = await playSections(context, [section], delay, { label: 'idle noise', at: 0.2 });
  return spread(
    await Promise.all(
      captured!.map((samples, i) =>
        analyst.analyze('noise', {
          samples,
          rate: loop.rate,
          channel: i + 1,
          fullScaleDbu: fullScaleDbu.return[i] ?? null,
        }),
      ),
    ),
  );
};
