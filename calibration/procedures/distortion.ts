/**
 * Distortion of one tone: at the nominal and at a high level, and against frequency and level. Both channels carry the tone at once: what one
 * hears of the other is at the tone's own frequency, and small.
 */

import { sine, TEST_HZ } from '../signals/signals.js';
import { spread } from './findings.js';
import type { LocatedProcedure } from './located.js';
import type { ProcedureContext } from './procedure.js';
import { everyChannel, playSections, type Section, sectionFrames } from './sections.js';

/** AES17: just below full scale; lower where the insert's ceiling is. */
const HIGH_DBFS = -1;
/** +4 dBu where full scale is +24 dBu: the nominal level of studio lines. */
const NOMINAL_DBU = 4;
const NOMINAL_DBFS = -20;
const TONE_SECONDS = 1;
const STEP_SECONDS = 0.3;
/** Octaves or so; the second harmonic of the last one is still heard. */
const CURVE_HZ = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
/** AES17-2015 6.3.7: steps of 5 dB down to 5 dB above the noise, wherever a converter has it. */
const CURVE_DB_BELOW_HIGH = [...Array.from({ length: 22 }, (_, i) => 110 - 5 * i), 3, 0];
const LEVEL_STEP_SECONDS = 0.15;

export const measureDistortion: LocatedProcedure = async (context, delay) => {
  const { loop, analyst, fullScaleDbu } = context;
  const { rate } = loop;
  const [nominal, high] = [nominalDbfs(context), highDbfs(context)];
  const tone = (hz: number, levelDbfs: number, seconds: number): Section & { hz: number; levelDbfs: number } => ({
    hz,
    levelDbfs,
    signal: (frames) => sine(rate, hz, levelDbfs, frames),
    frames: sectionFrames(rate, seconds, hz),
    drives: everyChannel,
  });
  const tones = [tone(TEST_HZ, nominal, TONE_SECONDS), tone(TEST_HZ, high, TONE_SECONDS)];
  const overHz = CURVE_HZ.map((hz) => tone(hz, nominal, STEP_SECONDS));
  const overLevel = CURVE_DB_BELOW_HIGH.map((below) => tone(TEST_HZ, high - below, LEVEL_STEP_SECONDS));
  const atTones = await playSections(context, tones, delay, { label: 'tones of 997 Hz', at: 0.1 });
  const atHz = await playSections(context, overHz, delay, { label: 'distortion against frequency', at: 0.3 });
  const atLevel = await playSections(context, overLevel, delay, { label: 'distortion against level', at: 0.7 });
  const steps = (sections: typeof tones, captured: Float64Array[][], channel: number) =>
    sections.map(({ hz, levelDbfs }, n) => ({ hz, levelDbfs, samples: captured[n]![channel]! }));
  return spread(
    await Promise.all(
      Array.from({ length: loop.insert.channels }, (_, i) => {
        const about = { rate, channel: i + 1, fullScaleDbu: fullScaleDbu.return[i] ?? null };
        return [
          ...steps(tones, atTones, i).map((one) => analyst.analyze('tone', { ...about, ...one })),
          analyst.analyze('steps', {
            ...about,
            overHz: steps(overHz, atHz, i),
            overLevel: steps(overLevel, atLevel, i),
          }),
        ];
      }).flat(),
    ),
  );
};

/** The level of +4 dBu at the first send that was calibrated, or -20 dBFS; never above the insert's ceiling. */
export function nominalDbfs({ loop, fullScaleDbu }: ProcedureContext): number {
  const fullScale = fullScaleDbu.send.find((value) => value !== null);
  // To a tenth: the next reading of the voltmeter must not begin a history of its own.
  return Math.min(loop.ceilingDbfs, fullScale == null ? NOMINAL_DBFS : Math.round(10 * (NOMINAL_DBU - fullScale)) / 10);
}

export function highDbfs({ loop }: ProcedureContext): number {
  return Math.min(loop.ceilingDbfs, HIGH_DBFS);
}
