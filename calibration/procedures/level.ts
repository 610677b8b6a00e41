/**
 * What full scale is in dBu, for each channel and direction: a tone is played, a person reads the voltage at the send, and what comes back at the
 * return is known by it. The insert must give back what it gets: a cable, or processors at unity.
 */
import type { Measurement } from '../../core/contract/calibration.js';
import { dbToRatio } from '../../core/units.js';
import { measured, refused } from '../measures/measurement.js';
import { sine, TEST_HZ } from '../signals/signals.js';
import { nominalDbfs } from './distortion.js';
import type { LocatedProcedure } from './located.js';
import { everyChannel, playSections, sectionFrames } from './sections.js';

/** 0 dBu: sqrt(0.6) V, exactly. */
const VOLTS_AT_0_DBU = Math.sqrt(0.6);
/** Interfaces of studios lie between +9 and +24 dBu; outside of this the meter's range was misread. */
const LEAST_FULL_SCALE_DBU = -10;
const MOST_FULL_SCALE_DBU = 40;

export const measureLevel: LocatedProcedure = async (context, delay) => {
  const { loop, analyst, ask } = context;
  const { rate, insert } = loop;
  const levelDbfs = nominalDbfs(context);
  const section = {
    signal: (frames: number) => sine(rate, TEST_HZ, levelDbfs, frames),
    frames: sectionFrames(rate, 1),
    drives: everyChannel,
  };
  const [captured] = await playSections(context, [section], delay, { label: 'tone over the insert', at: 0.1 });
  const measurements: Measurement[] = [];
  for (let channel = 1; channel <= insert.channels; channel++) {
    context.step(`voltmeter at send ${channel}`, 0.2 + (0.7 * (channel - 1)) / insert.channels);
    // A second of 997 whole periods: it can be repeated without a seam.
    const tone = sine(rate, TEST_HZ, levelDbfs, rate);
    const volts = await ask(
      {
        text: `Measure the voltage (true RMS) between hot and cold of send ${channel} of insert ${insert.name}, with the insert connected.`,
        unit: 'V',
        channel,
        allowed: [voltsOf(LEAST_FULL_SCALE_DBU + levelDbfs), voltsOf(MOST_FULL_SCALE_DBU + levelDbfs)],
      },
      Array.from({ length: insert.channels }, (_, i) => (i === channel - 1 ? tone : null)),
    );
    const sendDbu = dbuOf(volts) - levelDbfs;
    const { measurements: back } = await analyst.analyze('tone', {
      samples: captured![channel - 1]!,
      rate,
      channel,
      fullScaleDbu: null,
      hz: TEST_HZ,
      levelDbfs,
    });
    measurements.push(...fullScales({ channel, levelDbfs, sendDbu, back }));
  }
  return { measurements, traces: [] };
};

/** @param volts more than 0, as the question has it */
function dbuOf(volts: number): number {
  return 20 * Math.log10(volts / VOLTS_AT_0_DBU);
}

function voltsOf(dbu: number): number {
  return VOLTS_AT_0_DBU * dbToRatio(dbu);
}

/** From the voltage at the send and what came back of it. */
function fullScales(o: { channel: number; levelDbfs: number; sendDbu: number; back: Measurement[] }): Measurement[] {
  const level = o.back.find(({ name }) => name === 'level_dbfs')!;
  const basis = {
    channel: o.channel,
    samples: level.samples,
    conditions: { hz: TEST_HZ, level_dbfs: o.levelDbfs },
  };
  const send = measured({ full_scale_send_dbu: o.sendDbu }, basis);
  if (level.refusal) return [...send, ...refused(['full_scale_return_dbu', 'loop_gain_db'], level.refusal, basis)];
  const back = level.value!;
  // What arrives at the return is what the meter read at the send.
  return [
    ...send,
    ...measured({ full_scale_return_dbu: o.sendDbu + o.levelDbfs - back, loop_gain_db: back - o.levelDbfs }, basis),
  ];
}
