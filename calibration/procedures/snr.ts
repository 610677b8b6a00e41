/**
 * How far the signal is above the noise: against a tone at the highest level that the insert may have, and as the dynamic range of AES17-2015
 * 6.4.1, whose tone of -60 dB keeps noise gates and idle converters from looking better than they are. It refers to the maximum level, which is
 * measured first where nobody has.
 */
import type { Measurement, Refusal } from '../../core/contract/calibration.js';
import { isRefusal } from '../measures/measurement.js';
import { sine, TEST_HZ } from '../signals/signals.js';
import type { Maximum } from './analyses.js';
import { highDbfs } from './distortion.js';
import { spread } from './findings.js';
import { measureHeadroom } from './headroom.js';
import type { LocatedProcedure } from './located.js';
import { everyChannel, playSections, sectionFrames } from './sections.js';

const SECONDS = 1;
const QUIET_DB = -60;
/** Of the whole, when the maximum is looked for first. */
const HEADROOM_SHARE = 0.6;

export const measureSnr: LocatedProcedure = async (context, delay, before) => {
  const { loop, analyst, scout, fullScaleDbu } = context;
  const { rate, insert } = loop;
  const high = highDbfs(context);
  const step = (label: string, fraction: number) => context.step(label, HEADROOM_SHARE * fraction);
  const { measurements } = before ?? (await measureHeadroom({ ...context, analyst: scout, step }, delay));
  const maxima = Array.from({ length: insert.channels }, (_, i) => maximumOf(measurements, i + 1));
  const lowest = maxima.reduce((least, one) => (isRefusal(one) ? least : Math.min(least, one.inputDbfs)), high);
  const at = (levelDbfs: number) => ({
    signal: (frames: number) => sine(rate, TEST_HZ, levelDbfs, frames),
    frames: sectionFrames(rate, SECONDS),
    drives: everyChannel,
  });
  const label = 'signal to noise, dynamic range';
  const [loud, quiet] = await playSections(context, [at(high), at(lowest + QUIET_DB)], delay, {
    label,
    at: before ? 0.2 : HEADROOM_SHARE,
  });
  return spread(
    await Promise.all(
      loud!.map((samples, i) =>
        analyst.analyze('snr', {
          loud: { hz: TEST_HZ, levelDbfs: high, samples },
          quiet: { hz: TEST_HZ, levelDbfs: lowest + QUIET_DB, samples: quiet![i]! },
          quietDb: QUIET_DB,
          maximum: maxima[i]!,
          rate,
          channel: i + 1,
          fullScaleDbu: fullScaleDbu.return[i] ?? null,
        }),
      ),
    ),
  );
};

function maximumOf(measurements: readonly Measurement[], channel: number): Maximum | Refusal {
  const of = (name: string) => measurements.find((one) => one.name === name && one.channel === channel)!;
  const [input, output] = [of('max_level_dbfs'), of('max_output_dbfs')];
  return (
    input.refusal ?? {
      inputDbfs: input.value!,
      outputDbfs: output.value!,
      limited: input.conditions['limited'] === true,
    }
  );
}
