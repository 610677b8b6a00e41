/** What is told of a bounce that went well: one object for programs, a few lines for people. */
import type { Certificate } from '../../core/contract/event.js';
import type { WavLevels } from './measure-wav.js';
import type { Output } from './output.js';
import type { BounceOutcome } from './run-bounce.js';

/** The last line with --json, of `bounce` and of `demo`. */
export function bounceObject(outcome: BounceOutcome, wallSeconds: number): object {
  const { job, source, certificate } = outcome;
  const { result, continuity, latency } = certificate;
  return {
    ok: true,
    job,
    source: {
      digest: source.digest,
      frames: source.format.frames,
      rate: source.format.rate,
      channels: source.format.channels,
    },
    result: {
      digest: result.digest,
      bytes: result.bytes,
      frames: result.frames,
      rate: result.rate,
      channels: result.channels,
      encoding: result.encoding,
    },
    take: {
      attempts: certificate.attempt,
      latencyFrames: latency.totalFrames,
      xruns: continuity.xruns,
      peakDbfs: certificate.peakDbfs,
      clippedSamples: certificate.clippedSamples,
      loudnessLufs: certificate.loudness.integratedLufs,
    },
    settings: certificate.processors.flatMap(({ processor, insert, driveDb, settings }) =>
      settings.map((setting) => ({ processor, insert, driveDb, ...setting })),
    ),
    seconds: { audio: result.frames / result.rate, wall: Math.round(wallSeconds * 1000) / 1000 },
  };
}

/** The settings: what was asked, and what the units said before and after the take. */
export function printSettings(output: Output, certificate: Certificate): void {
  const rows = certificate.processors.flatMap(({ processor, settings }) =>
    settings.map(({ name, unit, requested, readBack, readBackAfter, state }) => [
      processor,
      name,
      `${requested}${unit === undefined ? '' : ` ${unit}`}`,
      String(readBack ?? '-'),
      String(readBackAfter ?? '-'),
      state,
    ]),
  );
  if (rows.length > 0) output.table(rows, ['PROCESSOR', 'SETTING', 'ASKED', 'READ BACK', 'AFTER', '']);
}

/** The take: how it went, what was taken out of it, what it is. */
export function printTake(output: Output, certificate: Certificate): void {
  const { latency, continuity, result } = certificate;
  const parts = [
    `interface ${latency.interfaceFrames}`,
    ...latency.insertFrames.map(({ insert, frames }) => `insert ${insert} ${frames}`),
    ...(latency.patchFrames > 0 ? [`patch ${latency.patchFrames}`] : []),
  ];
  const recorded = `${continuity.framesRecorded} frames recorded, ${continuity.xruns} xruns`;
  output.table([
    ['take', `attempt ${certificate.attempt}, ${recorded}, ${certificate.clippedSamples} clipped samples`],
    ['latency', `${latency.totalFrames} frames taken out (${parts.join(', ')})`],
    ['result', `${result.frames} frames, ${result.rate} Hz, ${result.channels} channels, ${result.encoding}`],
    ['', result.digest],
  ]);
}

/** Peak of each channel and loudness, of the take and of what it was made from where that was measured. */
export function printLevels(output: Output, certificate: Certificate, source?: WavLevels): void {
  const row = (name: string, before: string | undefined, after: string) =>
    before === undefined ? [name, after] : [name, before, after];
  const peaks = (values: readonly (number | null)[]) => values.map(level).join(' / ');
  output.table(
    [
      row('peak, dBFS', source && peaks(source.peakDbfs), peaks(certificate.peakDbfs)),
      row('loudness, LUFS', source && level(source.integratedLufs), level(certificate.loudness.integratedLufs)),
    ],
    row('', source && 'SOURCE', 'TAKE'),
  );
}

/** Two decimals; digital silence and what is under the gate have no number. */
function level(value: number | null): string {
  return value === null ? '-inf' : value.toFixed(2);
}
