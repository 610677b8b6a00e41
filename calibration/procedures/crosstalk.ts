/**
 * Crosstalk (AES17-2015 6.5.2): one channel is driven 20 dB below the highest level, the others are silent, in octaves over the audio band; every
 * pair of the insert's channels. What other inserts hear is measured at one of them: the rig keeps strangers' takes apart by it.
 */
import { sine } from '../signals/signals.js';
import type { AnalysisInputs } from './analyses.js';
import { highDbfs } from './distortion.js';
import { spread } from './findings.js';
import type { LocatedProcedure } from './located.js';
import { everyChannel, playSections, sectionFrames } from './sections.js';

const BELOW_HIGH_DB = -20;
const OCTAVES_HZ = [20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_000];
const NEIGHBOURS_HZ = 1280;
const STEP_SECONDS = 0.3;

export const measureCrosstalk: LocatedProcedure = async (context, delay) => {
  const { loop, analyst } = context;
  const { rate, insert } = loop;
  const levelDbfs = highDbfs(context) + BELOW_HIGH_DB;
  // Analyzed when all was played: who breaks off in between leaves nothing behind that nobody waits for.
  const pairs: AnalysisInputs['crosstalk'][] = [];
  for (let driven = 0; driven < insert.channels; driven++) {
    const at = (driven + 0.1) / insert.channels;
    const captured = await playSections(
      context,
      OCTAVES_HZ.map((hz) => ({
        signal: (frames: number) => sine(rate, hz, levelDbfs, frames),
        frames: sectionFrames(rate, STEP_SECONDS, hz),
        drives: (channel: number) => channel === driven,
      })),
      delay,
      { label: `crosstalk from channel ${driven + 1}`, at },
    );
    for (let undriven = 0; undriven < insert.channels; undriven++) {
      if (undriven === driven) continue;
      const steps = OCTAVES_HZ.map((hz, n) => ({
        hz,
        driven: captured[n]![driven]!,
        undriven: captured[n]![undriven]!,
      }));
      pairs.push({ steps, rate, levelDbfs, driven: driven + 1, undriven: undriven + 1 });
    }
  }
  const neighbours = loop.others.flatMap(({ name, channels }) =>
    Array.from({ length: channels }, (_, i) => `${name}.${i + 1}`),
  );
  if (neighbours.length > 0) {
    const hz = NEIGHBOURS_HZ;
    const section = {
      signal: (frames: number) => sine(rate, hz, levelDbfs, frames),
      frames: sectionFrames(rate, STEP_SECONDS),
      drives: everyChannel,
    };
    const told = { label: 'crosstalk to other inserts', at: 0.95, listen: loop.others };
    const [captured] = await playSections(context, [section], delay, told);
    neighbours.forEach((undriven, i) => {
      const steps = [{ hz, driven: captured![0]!, undriven: captured![insert.channels + i]! }];
      pairs.push({ steps, rate, levelDbfs, driven: insert.name, undriven });
    });
  }
  return spread(await Promise.all(pairs.map((pair) => analyst.analyze('crosstalk', pair))));
};
