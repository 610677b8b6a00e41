/**
 * Gain, phase and their difference between the channels, against frequency: an exponential sweep, on one channel after the other, because what one
 * hears of the other would be taken for its own.
 */
import { dbToRatio } from '../../core/units.js';
import { exponentialSweep } from '../dsp/sweep.js';
import { spread } from './findings.js';
import type { LocatedProcedure } from './located.js';

const SECONDS = 4;
const LEVEL_DBFS = -10;
/** Beyond the audio band on either side, so that its ends are played in full. */
const FROM_HZ = 14;
const MOST_HZ = 23_000;
const TAIL_SECONDS = 0.5;

export const measureResponse: LocatedProcedure = async (context, delay) => {
  const { loop, analyst, signal, step } = context;
  const { rate, insert } = loop;
  const levelDbfs = Math.min(LEVEL_DBFS, loop.ceilingDbfs);
  const peak = dbToRatio(levelDbfs);
  const sweep = exponentialSweep(rate, FROM_HZ, Math.min(MOST_HZ, 0.48 * rate), SECONDS);
  const stimulus = sweep.samples.map((x) => x * peak);
  const tailFrames = Math.ceil(delay + TAIL_SECONDS * rate);
  const captured: Float64Array[] = [];
  for (let driven = 0; driven < insert.channels; driven++) {
    step(`sweep on channel ${driven + 1}`, driven / insert.channels);
    const sends = Array.from({ length: insert.channels }, (_, i) => (i === driven ? stimulus : null));
    const { returns } = await loop.play(sends, { tailFrames, signal });
    captured.push(returns[driven]!);
  }
  return spread(
    await Promise.all([
      ...captured.map((samples, i) =>
        analyst.analyze('response', { stimulus, captured: samples, rate, channel: i + 1, levelDbfs }),
      ),
      ...captured
        .slice(1)
        .map((samples, i) =>
          analyst.analyze('interChannel', { stimulus, first: captured[0]!, other: samples, rate, channel: i + 2 }),
        ),
    ]),
  );
};
