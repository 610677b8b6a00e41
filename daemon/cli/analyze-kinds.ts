/** Which measurements each kind of `outboard analyze` makes of the samples of a file. */
import { crosstalkMeasurements } from '../../calibration/measures/crosstalk.js';
import { dynamicRangeMeasurements } from '../../calibration/measures/dynamic-range.js';
import { dfdMeasurements, smpteMeasurements, tdfdMeasurements } from '../../calibration/measures/intermodulation.js';
import { ProgrammeMeter } from '../../calibration/measures/loudness.js';
import { mainsMeasurements } from '../../calibration/measures/mains.js';
import type { Measurement, MeasureOptions } from '../../calibration/measures/measurement.js';
import { noiseMeasurements } from '../../calibration/measures/noise.js';
import { responseMeasurements } from '../../calibration/measures/response.js';
import { toneMeasurements } from '../../calibration/measures/tone-measurements.js';
import { wowFlutterMeasurements } from '../../calibration/measures/wow-flutter.js';
import { OutboardError } from '../../core/errors.js';
import type { WavSamples } from './read-wav.js';

export interface AnalyzeOptions extends MeasureOptions {
  /** Hz: where the response is told. */
  at?: number[];
  /** Hz, of the stimulus: a tone elsewhere, or a little off, is refused. */
  expectHz?: number;
  /** Hz, the two tones of smpte and dfd. */
  tones?: [number, number];
  carrierHz?: number;
  maxOutputDbfs?: number;
}

export const KINDS = [
  'tone',
  'noise',
  'dynamic-range',
  'smpte',
  'dfd',
  'response',
  'crosstalk',
  'wow-flutter',
  'mains',
  'loudness',
] as const;
export type Kind = (typeof KINDS)[number];

type OneChannel = Exclude<Kind, 'response' | 'crosstalk' | 'loudness'>;

const OF_ONE_CHANNEL: Record<OneChannel, (x: Float64Array, rate: number, o: AnalyzeOptions) => Measurement[]> = {
  tone: toneMeasurements,
  noise: noiseMeasurements,
  'dynamic-range': dynamicRangeMeasurements,
  smpte: (x, rate, { tones, ...o }) =>
    smpteMeasurements(x, rate, { ...o, ...(tones && { lowHz: tones[0], highHz: tones[1] }) }),
  dfd: (x, rate, { tones, ...o }) =>
    tones?.[0] === 8000 && tones[1] === 11_950
      ? tdfdMeasurements(x, rate, o)
      : dfdMeasurements(x, rate, { ...o, ...(tones && { lowerHz: tones[0], upperHz: tones[1] }) }),
  'wow-flutter': wowFlutterMeasurements,
  mains: mainsMeasurements,
};

/**
 * @param stimulus what was played, for `response` alone
 * @param channel from 1; each channel of the file when absent
 * @returns one list a channel; of crosstalk one for each channel that is not driven, of loudness one for all channels together
 * @throws OutboardError analyze.channels, analyze.rate
 */
export function analyzeKind(
  kind: Kind,
  wav: WavSamples,
  stimulus: WavSamples | null,
  channel: number | undefined,
  o: AnalyzeOptions,
): Measurement[][] {
  const { rate, channels } = wav;
  if (channel !== undefined && channel > channels.length)
    throw new OutboardError('analyze.channels', `channel ${channel} of a file that has ${channels.length}`);
  const asked = channel === undefined ? channels.map((_, i) => i) : [channel - 1];
  const about = (i: number): AnalyzeOptions => ({ ...o, channel: i + 1 });
  switch (kind) {
    case 'loudness':
      return [
        channel === undefined
          ? loudness(wav, o)
          : loudness({ ...wav, channels: [channels[channel - 1]!] }, about(channel - 1)),
      ];
    case 'crosstalk':
      return crosstalk(wav, channel, o);
    case 'response':
      return asked.map((i) => responseMeasurements(played(stimulus!, wav, i), channels[i]!, rate, about(i)));
    default:
      return asked.map((i) => OF_ONE_CHANNEL[kind](channels[i]!, rate, about(i)));
  }
}

/** Of a stimulus with one channel that one, else the channel of the same number. */
function played(stimulus: WavSamples, { rate, channels }: WavSamples, i: number): Float64Array {
  if (stimulus.rate !== rate)
    throw new OutboardError('analyze.rate', `the stimulus has ${stimulus.rate} Hz, the capture ${rate} Hz`);
  const found = stimulus.channels.length === 1 ? stimulus.channels[0] : stimulus.channels[i];
  if (!found)
    throw new OutboardError(
      'analyze.channels',
      `the stimulus has ${stimulus.channels.length} channels, the capture ${channels.length}`,
    );
  return found;
}

/** The loudest channel is the one that is driven. */
function crosstalk({ rate, channels }: WavSamples, undriven: number | undefined, o: AnalyzeOptions): Measurement[][] {
  if (channels.length < 2)
    throw new OutboardError('analyze.channels', 'crosstalk needs two channels; the file has one');
  const energies = channels.map((samples) => samples.reduce((sum, x) => sum + x * x, 0));
  const driven = energies.indexOf(Math.max(...energies));
  if (undriven === driven + 1)
    throw new OutboardError('analyze.channels', `channel ${undriven} is the one that is driven`);
  const heard = channels.map((_, i) => i).filter((i) => (undriven === undefined ? i !== driven : i === undriven - 1));
  return heard.map((i) =>
    crosstalkMeasurements(channels[driven]!, channels[i]!, rate, {
      ...o,
      channel: i + 1,
      conditions: { driven: driven + 1, undriven: i + 1 },
    }),
  );
}

function loudness({ rate, channels }: WavSamples, o: AnalyzeOptions): Measurement[] {
  const width = channels.length;
  const frames = channels[0]!.length;
  const meter = new ProgrammeMeter(rate, width);
  const block = new Float64Array(width * 4096);
  for (let from = 0; from < frames; from += 4096) {
    const count = Math.min(4096, frames - from);
    for (let n = 0; n < count; n++) for (let c = 0; c < width; c++) block[n * width + c] = channels[c]![from + n]!;
    meter.add(block, count);
  }
  return meter.measurements(o);
}
