/** What is told of one tone: level, distortion in all its forms, noise beside it, lines that are no harmonics. */
import type { Measurement } from '../../core/contract/calibration.js';
import type { MeasurementName } from './definitions.js';
import {
  isRefusal,
  levels,
  limited,
  type MeasureOptions,
  meanSquareDbfs,
  measured,
  powerDb,
  refused,
  type Values,
} from './measurement.js';
import { findSidebands } from './sidebands.js';
import { analyzeTone, type ToneAnalysis, type ToneOptions } from './tone.js';

const NAMES = [
  'frequency_hz',
  'level_dbfs',
  'rms_dbfs',
  'dc',
  'thd_f_db',
  'thd_f_percent',
  'thd_r_db',
  'thd_r_percent',
  'thdn_dbc',
  'thdn_re_total_db',
  'thdn_percent',
  'sinad_db',
  'snr_20_20k_db',
  'snr_a_db',
  'snr_ccirrms_db',
] as const satisfies readonly MeasurementName[];

const HARMONICS = [
  'h2_dbc',
  'h3_dbc',
  'h4_dbc',
  'h5_dbc',
  'h6_dbc',
  'h7_dbc',
  'h8_dbc',
  'h9_dbc',
] as const satisfies readonly MeasurementName[];

/**
 * @param samples one channel, linear, full scale 1: at least 20 periods of the tone
 * @param rate Hz
 * @returns every measurement, each refused where the capture is clipped, torn, silent, too short, too noisy, without a tone or unlocked
 */
export function toneMeasurements(
  samples: Float64Array,
  rate: number,
  o: MeasureOptions & ToneOptions = {},
): Measurement[] {
  const tone = analyzeTone(samples, rate, o);
  if (isRefusal(tone)) return refused(NAMES, tone, { ...o, samples: samples.length });
  const conditions = { ...o.conditions, window: tone.spectrum.window.shape.name };
  const basis = { ...o, samples: tone.samples, conditions };
  return [
    ...measured({ frequency_hz: tone.hz, ...levels(meanSquareDbfs(tone.power), o.fullScaleDbu) }, basis),
    ...measured({ rms_dbfs: meanSquareDbfs(tone.total), dc: tone.dc }, basis),
    ...tone.harmonics.flatMap((one, i) => {
      const name = HARMONICS[i];
      if (!name) return [];
      return measured({ [name]: powerDb(one / tone.power) }, limited(basis, tone.harmonicsInNoise[i]!));
    }),
    // A tone whose harmonics are all above the band has no THD.
    ...(tone.harmonics.length === 0
      ? []
      : measured(
          thdValues(tone),
          limited(
            { ...basis, conditions: { ...conditions, harmonics: tone.harmonics.length } },
            tone.distortionInNoise,
          ),
        )),
    ...measured(noiseValues(tone), basis),
    ...findSidebands(tone).flatMap(({ hz, dbc }) =>
      measured({ sideband_dbc: dbc }, { ...basis, conditions: { ...conditions, hz } }),
    ),
  ];
}

/** THD alone, both forms, with the level: what a curve over frequency or level is drawn from. */
export function thdValues({ power, distortion }: ToneAnalysis): Values {
  const f = distortion / power;
  const r = f / (1 + f);
  return {
    thd_f_db: powerDb(f),
    thd_f_percent: 100 * Math.sqrt(f),
    thd_r_db: powerDb(r),
    thd_r_percent: 100 * Math.sqrt(r),
  };
}

function noiseValues({ power, residual, total, noise }: ToneAnalysis): Values {
  const thdn = residual / total;
  return {
    thdn_dbc: powerDb(residual / power),
    thdn_re_total_db: powerDb(thdn),
    thdn_percent: 100 * Math.sqrt(thdn),
    sinad_db: -powerDb(thdn),
    snr_20_20k_db: powerDb(power / noise.flat),
    snr_a_db: powerDb(power / noise.a),
    snr_ccirrms_db: powerDb(power / noise.ccirRms),
  };
}
