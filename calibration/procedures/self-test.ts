/**
 * The rig's own short look at an insert between jobs: its noise, and its level and distortion where a tone comes back at all. An insert that is
 * not found fails, but for one whose processors are in a safe state that mutes: that one is only listened to.
 */
import { sine, TEST_HZ } from '../signals/signals.js';
import { spread } from './findings.js';
import { locate, meanDelay } from './located.js';
import type { Findings, Procedure } from './procedure.js';
import { everyChannel, playSections, sectionFrames } from './sections.js';

const LEVEL_DBFS = -20;
const SECONDS = 0.3;

export const selfTest: Procedure = async (context) => {
  const { loop, analyst, fullScaleDbu } = context;
  const { rate } = loop;
  context.step('finding the insert', 0);
  const found = await locate(context);
  const delay = meanDelay(found.measurements);
  const levelDbfs = Math.min(LEVEL_DBFS, loop.ceilingDbfs);
  const section = (signal: (frames: number) => Float64Array) => ({
    signal,
    frames: sectionFrames(rate, SECONDS),
    drives: everyChannel,
  });
  const silence = section((frames) => new Float64Array(frames));
  const tone = section((frames) => sine(rate, TEST_HZ, levelDbfs, frames));
  const sections = delay === null ? [silence] : [silence, tone];
  const captured = await playSections(context, sections, delay ?? loop.insert.latencyFrames, {
    label: 'noise and tone',
    at: 0.4,
  });
  const findings: Findings[] = await Promise.all(
    captured.flatMap((channels, n) =>
      channels.map((samples, i) => {
        const about = { samples, rate, channel: i + 1, fullScaleDbu: fullScaleDbu.return[i] ?? null };
        return n === 0
          ? analyst.analyze('noise', about)
          : analyst.analyze('tone', { ...about, hz: TEST_HZ, levelDbfs });
      }),
    ),
  );
  // Where nothing comes back, that it was not found is told; polarity and the like are nobody's business then.
  const told = found.measurements.filter(({ name, valid }) => valid || (name === 'latency_samples' && !context.muted));
  return spread([{ ...found, measurements: told }, ...findings]);
};
