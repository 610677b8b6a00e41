/** What is told of a bounce that went well: one object for programs, a few lines for people. */
import type { Certificate } from '../../core/contract/event.js';
import type { BounceOutcome } from './run-bounce.js';
import type { Output } from './output.js';

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

/** The take in four lines. */
export function printTake(output: Output, certificate: Certificate): void {
  const { latency, continuity, result, loudness } = certificate;
  const parts = [
    `interface ${latency.interfaceFrames}`,
    ...latency.insertFrames.map(({ insert, frames }) => `insert ${insert} ${frames}`),
    ...(latency.patchFrames > 0 ? [`patch ${latency.patchFrames}`] : []),
  ];
  output.table([
    ['take', `attempt ${certificate.attempt}, ${continuity.framesRecorded} frames recorded, ${continuity.xruns} xruns`],
    ['latency', `${latency.totalFrames} frames taken out (${parts.join(', ')})`],
    ['peak', `${certificate.peakDbfs.map(level).join(' / ')} dBFS, ${certificate.clippedSamples} clipped samples`],
    ['loudness', `${level(loudness.integratedLufs)} LUFS`],
    ['result', `${result.frames} frames, ${result.rate} Hz, ${result.channels} channels, ${result.encoding}`],
    ['', result.digest],
  ]);
}

/** Two decimals; digital silence and what is under the gate have no number. */
export function level(value: number | null): string {
  return value === null ? '-inf' : value.toFixed(2);
}
