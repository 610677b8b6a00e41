/** How figures, names and times are written for people. */

import type { Measurement, Refusal } from '../../core/contract/index.js';
import { DEFINITIONS } from '../measures/definitions.js';

const NAMES: Readonly<Record<string, string>> = {
  frequency_hz: 'Frequency',
  level_dbfs: 'Level',
  level_dbu: 'Level',
  level_dbv: 'Level',
  level_vrms: 'Level',
  rms_dbfs: 'RMS level',
  peak_dbfs: 'Peak',
  dc: 'DC',
  thd_f_db: 'THD (re fundamental)',
  thd_f_percent: 'THD (re fundamental)',
  thd_r_db: 'THD (re total)',
  thd_r_percent: 'THD (re total)',
  thdn_dbc: 'THD+N (re fundamental)',
  thdn_re_total_db: 'THD+N',
  thdn_percent: 'THD+N',
  sinad_db: 'SINAD',
  snr_20_20k_db: 'SNR',
  snr_a_db: 'SNR, A-weighted',
  snr_ccirrms_db: 'SNR, CCIR-RMS',
  noise_full_dbfs: 'Noise, whole band',
  noise_20_20k_dbfs: 'Noise',
  noise_20_20k_dbu: 'Noise',
  noise_20_fs2_dbfs: 'Noise, 20 Hz and up',
  noise_a_dbfs: 'Noise, A-weighted',
  noise_a_dbu: 'Noise, A-weighted',
  noise_ccirrms_dbfs: 'Noise, CCIR-RMS',
  noise_ccirrms_dbu: 'Noise, CCIR-RMS',
  noise_quasipeak_dbfs: 'Noise, quasi-peak',
  noise_quasipeak_dbu: 'Noise, quasi-peak',
  noise_density_dbfs_rthz: 'Noise density',
  noise_density_nv_rthz: 'Noise density',
  dynamic_range_full_db: 'Dynamic range, whole band',
  dynamic_range_20_20k_db: 'Dynamic range, flat',
  dynamic_range_a_db: 'Dynamic range, A-weighted',
  dynamic_range_ccirrms_db: 'Dynamic range',
  imd_smpte_db: 'IMD, SMPTE',
  imd_smpte_percent: 'IMD, SMPTE',
  imd_rss_sidebands_db: 'IMD, RSS of sidebands',
  iec_mod_d2_db: 'Modulation distortion, 2nd order',
  iec_mod_d3_db: 'Modulation distortion, 3rd order',
  dfd_d2_db: 'Difference-frequency distortion, 2nd order',
  dfd_d3_db: 'Difference-frequency distortion, 3rd order',
  dfd_d2_re_f2_db: 'Difference-frequency distortion, 2nd order (re f2)',
  dfd_d3_re_f2_db: 'Difference-frequency distortion, 3rd order (re f2)',
  latency_samples: 'Latency',
  latency_ms: 'Latency',
  latency_spread_samples: 'Spread of latency',
  latency_sweep_samples: 'Latency, by sweep',
  latency_difference_samples: 'Latency, sweep less bursts',
  polarity_inverted: 'Polarity inverted',
  loop_gain_db: 'Gain',
  fr_deviation_db: 'Response, largest deviation',
  fr_db: 'Response',
  phase_deg: 'Phase',
  fr_min_db: 'Response, lowest',
  fr_max_db: 'Response, highest',
  inter_channel_level_db: 'Inter-channel level difference',
  inter_channel_phase_deg: 'Inter-channel phase difference',
  crosstalk_selective_db: 'Crosstalk, selective',
  crosstalk_broadband_db: 'Crosstalk, broadband',
  gain_linearity_error_db: 'Gain linearity error',
  max_level_dbfs: 'Maximum level',
  max_output_dbfs: 'Maximum output',
  max_output_dbu: 'Maximum output',
  removed_tone_hz: 'Tone that was taken out',
  sideband_dbc: 'Sideband',
  tdfd_db: 'Difference-frequency distortion, total',
  max_level_thdn_dbfs: 'Maximum level, THD+N −40 dB',
  max_level_compression_dbfs: 'Maximum level, 0.3 dB compression',
  full_scale_send_dbu: 'Full scale at the send',
  full_scale_return_dbu: 'Full scale at the return',
  speed_error_percent: 'Speed error',
  weighted_peak2s_percent: 'Wow and flutter, weighted peak',
  weighted_rms_percent: 'Wow and flutter, weighted RMS',
  unweighted_peak2s_percent: 'Wow and flutter, unweighted peak',
  mains_hz: 'Mains',
  hum_dbfs: 'Mains product',
  hum_total_dbfs: 'Mains products, total',
  integrated_lufs: 'Loudness',
  true_peak_dbtp: 'True peak',
};

const REFUSALS: Readonly<Record<Refusal['reason'], string>> = {
  clipped: 'clipped',
  'no-tone': 'no tone',
  gap: 'gap',
  unlocked: 'unlocked clock',
  'too-short': 'too short',
  'too-noisy': 'too noisy',
  silent: 'silent',
  'not-finite': 'not finite',
};

export function refusalWord(reason: Refusal['reason']): string {
  return REFUSALS[reason];
}

/** `thdn_re_total_db` -> `THD+N`; what has no name of its own keeps the one that programs use. */
export function nameOf(measurement: string): string {
  const harmonic = /^h(\d)_dbc$/.exec(measurement);
  return harmonic ? `Harmonic ${harmonic[1]}` : (NAMES[measurement] ?? measurement);
}

/** A figure with as many digits as mean something in its unit, and the minus of typography. */
export function figure(value: number, unit: string): string {
  return minus(rounded(value, unit));
}

function rounded(value: number, unit: string): string {
  if (/^dB/.test(unit) || unit === '°' || unit === 'LU' || unit === 'LUFS') return value.toFixed(2);
  if (unit === 'samples') return value.toFixed(3);
  // A converter's DC is millionths of full scale.
  if (unit === 'FS') return value.toFixed(7);
  if (Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(6)));
}

export function minus(text: string): string {
  // A figure that rounds to nothing has no sign.
  return text.replace(/^-(?=0(\.0*)?$)/, '').replace(/^-/, '−');
}

/** What stands in a cell: the figure, minus infinity for digital silence, or why there is none. */
export function cellOf(m: Measurement): string {
  if (m.refusal) return refusalWord(m.refusal.reason);
  if (m.name === 'polarity_inverted') return m.value === 0 ? 'no' : 'yes';
  return m.value === null ? '−∞' : `${boundOf(m)}${figure(m.value, m.unit)}`;
}

/** What stands before a figure that is none: the end was not reached, or nothing but noise is known. */
export function boundOf({ conditions }: Pick<Measurement, 'conditions'>): string {
  if (conditions['limited'] === true) return '≥ ';
  return conditions['noise_limited'] === true ? '≤ ' : '';
}

/** The unit of a measurement by its name; a limit in dBu names its own. */
export function unitOf({ measurement, unit }: { measurement: string; unit?: string | undefined }): string {
  const known: Readonly<Record<string, { unit: string }>> = DEFINITIONS;
  return unit ?? (Object.hasOwn(known, measurement) ? known[measurement]!.unit : '');
}

/** `≥ −0.05 … ≤ 0.05 dB` as one word. */
export function limitOf({ min, max }: { min?: number | undefined; max?: number | undefined }, unit: string): string {
  const write = (value: number) => minus(String(value));
  const bounds =
    min === undefined
      ? `≤ ${write(max!)}`
      : max === undefined
        ? `≥ ${write(min)}`
        : min === -max
          ? `±${write(max)}`
          : `${write(min)} … ${write(max)}`;
  return unit === '' ? bounds : `${bounds} ${unit}`;
}

/** `997 Hz, −1 dBFS`. */
export function conditionsOf(conditions: Measurement['conditions']): string {
  const { driven, undriven, limited, noise_limited: _, ...others } = conditions;
  const pair = driven === undefined || undriven === undefined ? [] : [`${driven} into ${undriven}`];
  const rest = Object.entries(others).map(([name, value]) => {
    const text = typeof value === 'number' ? minus(String(Number(value.toPrecision(6)))) : String(value);
    const unit = /_(hz|dbfs|dbu|db|seconds|percent)$/.exec(name)?.[1];
    if (name === 'hz') return hertz(Number(value));
    if (name === 'level_dbfs') return `${text} dBFS`;
    const words = name.replace(/_(hz|dbfs|dbu|db|seconds|percent)$/, '').replaceAll('_', ' ');
    return `${words} ${text}${unit ? ` ${UNITS[unit]}` : ''}`;
  });
  return [...pair, ...rest, ...(limited === true ? ['the ceiling of what was played'] : [])].join(', ');
}

const UNITS: Readonly<Record<string, string>> = {
  hz: 'Hz',
  dbfs: 'dBFS',
  dbu: 'dBu',
  db: 'dB',
  seconds: 's',
  percent: '%',
};

/** `997 Hz`, `10 kHz`. */
export function hertz(hz: number): string {
  return hz >= 1000 && Number((hz / 1000).toFixed(2)) === hz / 1000
    ? `${hz / 1000} kHz`
    : `${Number(hz.toFixed(2))} Hz`;
}

/** `2026-01-05 09:00 UTC`. */
export function time(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
