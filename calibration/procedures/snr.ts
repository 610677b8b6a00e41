/**
 * How far the signal is above the noise: against a tone at the highest level that the insert may have, and as the dynamic range of AES17-2015
 * 6.4.1, whose tone of -60 dB keeps noise gates and idle converters from looking better than they are.
 */
import { sine, TEST_HZ } from '../signals/signals.js';
import { highDbfs } from './distortion.js';
import { spread } from './findings.js';
import type { LocatedProcedure } from './located.js';
import { everyChannel, playSections, sectionFrames } from './sections.js';

const SECONDS = 1;
const QUIET_DB = -60;

export const measureSnr: LocatedProcedure = async (context, delay) => {
  const { loop, analyst, fullScaleDbu } = context;
  const { rate } = loop;
  const high = highDbfs(context);
  const at = (levelDbfs: number) => ({
    signal: (frames: number) => sine(rate, TEST_HZ, levelDbfs, frames),
    frames: sectionFrames(rate, SECONDS),
    drives: everyChannel,
  });
  const label = 'signal to noise, dynamic range';
  const [loud, quiet] = await playSections(context, [at(high), at(high + QUIET_DB)], delay, { label, at: 0.2 });
  return spread(
    await Promise.all(
      loud!.map((samples, i) =>
        analyst.analyze('snr', {
          loud: { hz: TEST_HZ, levelDbfs: high, samples },
          quiet: { hz: TEST_HZ, levelDbfs: high + QUIET_DB, samples: quiet![i]! },
          rate,
          channel: i + 1,
          fullScaleDbu: fullScaleDbu.return[i] ?? null,
        }),
      ),
    ),
  );
};
