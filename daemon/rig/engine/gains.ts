/** The levels of a chain: what each insert is driven with, and what is done to what comes back, per channel. */
import type { Hop } from './spec.js';

/** Digital gain into an insert, dB per channel: the job's drive and calibration's trim. */
export function sendGainsDb(hop: Hop): number[] {
  return hop.sends.map((_, channel) => hop.driveDb + (hop.sendTrimDb?.[channel] ?? 0));
}

/** Digital gain behind an insert, dB per channel: calibration's trim. */
export function returnGainsDb(hop: Hop): number[] {
  return hop.returns.map((_, channel) => hop.returnTrimDb?.[channel] ?? 0);
}

/** From one insert's returns to the next one's sends, dB per channel. */
export function patchGainsDb(from: Hop, to: Hop): number[] {
  const back = returnGainsDb(from);
  return sendGainsDb(to).map((gain, channel) => gain + back[channel]!);
}
