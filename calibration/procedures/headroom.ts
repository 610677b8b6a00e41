/**
 * The maximum level of AES17-2015 6.2.1 by both methods: where THD+N reaches -40 dB, and where the gain has fallen by 0.3 dB. Steps of 4 dB find
 * the place, steps of 0.5 dB measure it. It stops at the insert's ceiling, and says so.
 */
import type { ToneStep } from '../measures/steps.js';
import { sine, TEST_HZ } from '../signals/signals.js';
import { highDbfs } from './distortion.js';
import { spread } from './findings.js';
import type { LocatedProcedure } from './located.js';
import { everyChannel, playSections, sectionFrames } from './sections.js';

const COARSE_DB = [32, 24, 20, 16, 12, 8, 4, 0];
const FINE_STEP_DB = 0.5;
const SECONDS = 0.16;

export const measureHeadroom: LocatedProcedure = async (context, delay) => {
  const { loop, analyst, scout, fullScaleDbu } = context;
  const { rate, insert } = loop;
  const high = highDbfs(context);
  const play = async (levels: number[], label: string, at: number): Promise<ToneStep[][]> => {
    const sections = levels.map((levelDbfs) => ({
      signal: (frames: number) => sine(rate, TEST_HZ, levelDbfs, frames),
      frames: sectionFrames(rate, SECONDS),
      drives: everyChannel,
    }));
    const captured = await playSections(context, sections, delay, { label, at });
    return Array.from({ length: insert.channels }, (_, i) =>
      levels.map((levelDbfs, n) => ({ hz: TEST_HZ, levelDbfs, samples: captured[n]![i]! })),
    );
  };
  const coarse = await play(
    COARSE_DB.map((below) => high - below),
    'headroom, coarse',
    0.1,
  );
  const about = (i: number) => ({ rate, channel: i + 1, fullScaleDbu: fullScaleDbu.return[i] ?? null });
  const found = await Promise.all(coarse.map((steps, i) => scout.analyze('maximumLevel', { ...about(i), steps })));
  const levels = found
    .flatMap(({ measurements }) => measurements)
    .filter(
      ({ name, value }) => value !== null && (name === 'max_level_thdn_dbfs' || name === 'max_level_compression_dbfs'),
    )
    .map(({ value }) => value!)
    .filter((value) => value < high);
  const fine = levels.length > 0 ? await play(around(levels, high), 'headroom, fine', 0.6) : coarse.map(() => []);
  return spread(
    await Promise.all(
      coarse.map((steps, i) => {
        const all = [...steps, ...fine[i]!].sort((a, b) => a.levelDbfs - b.levelDbfs);
        return analyst.analyze('maximumLevel', { ...about(i), steps: all });
      }),
    ),
  );
};

/** Every half decibel from 1.5 dB below the first to 1.5 dB above the last, as far as the ceiling allows. */
function around(levels: number[], highest: number): number[] {
  const [from, to] = [Math.min(...levels) - 1.5, Math.min(highest, Math.max(...levels) + 1.5)];
  return Array.from({ length: Math.floor((to - from) / FINE_STEP_DB) + 1 }, (_, n) => from + n * FINE_STEP_DB);
}
