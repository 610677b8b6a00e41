/** All that can be measured without a person: in one session, with the insert found once. */
import { measureCrosstalk } from './crosstalk.js';
import { measureDistortion } from './distortion.js';
import { spread } from './findings.js';
import { measureHeadroom } from './headroom.js';
import { measureIntermodulation } from './intermodulation.js';
import { measureLatency } from './latency.js';
import { type LocatedProcedure, meanDelay } from './located.js';
import { measureNoise } from './noise.js';
import type { Findings, Procedure } from './procedure.js';
import { measureResponse } from './response.js';
import { measureSnr } from './snr.js';

/** With about how long each of them takes, in seconds: for the progress alone. */
const PARTS: readonly (readonly [string, LocatedProcedure, number])[] = [
  ['THD', measureDistortion, 13],
  ['noise', measureNoise, 3.5],
  ['response', measureResponse, 9.5],
  ['crosstalk', measureCrosstalk, 13],
  ['IMD', measureIntermodulation, 3],
  ['headroom', measureHeadroom, 5],
  // The dynamic range refers to the maximum level.
  ['SNR', measureSnr, 3.5],
];
const LATENCY_SECONDS = 5;

export const suite: Procedure = async (context) => {
  const total = PARTS.reduce((sum, [, , seconds]) => sum + seconds, LATENCY_SECONDS);
  let done = 0;
  const part = (name: string, seconds: number) => ({
    ...context,
    step: (label: string, fraction: number) => context.step(`${name}: ${label}`, (done + fraction * seconds) / total),
  });
  const findings: Findings[] = [await measureLatency(part('latency', LATENCY_SECONDS))];
  const delay = meanDelay(findings[0]!.measurements);
  if (delay === null) return findings[0]!;
  done = LATENCY_SECONDS;
  for (const [name, measure, seconds] of PARTS) {
    findings.push(await measure(part(name, seconds), delay, spread(findings)));
    done += seconds;
  }
  return spread(findings);
};
