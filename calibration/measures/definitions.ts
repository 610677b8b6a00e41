/**
 * What each name means: unit, formula with its version, band, detector and what 0 of the unit is. A program that reads a name may rely on this
 * table; whoever changes a formula gives its id the next number. docs/measurements.md explains every row.
 */
import type { Measurement } from '../../core/contract/calibration.js';

/** Hz: the audio band of AES17-2015 5.2.5. */
export const AUDIO_BAND = [20, 20_000] as const;

type Definition = Pick<Measurement, 'unit' | 'definition' | 'band' | 'detector' | 'reference'>;

const SINE = 'full-scale sine';
const TONE = 'fundamental';

function row(
  unit: string,
  definition: string,
  detector: Measurement['detector'],
  reference: string,
  band: readonly [number, number] | null = null,
): Definition {
  return { unit, definition, band, detector, reference };
}

const harmonic = row('dBc', 'harmonic.iec60268-3/1', 'selective', TONE);
const noise = (unit: string, definition: string, reference: string): Definition =>
  row(unit, definition, 'rms', reference, AUDIO_BAND);

export const DEFINITIONS = {
  frequency_hz: row('Hz', 'frequency.ieee1057/1', 'fit', 'sample clock'),
  level_dbfs: row('dBFS', 'level.aes17/1', 'selective', SINE),
  level_dbu: row('dBu', 'level.aes17/1', 'selective', '0.7746 V RMS'),
  level_dbv: row('dBV', 'level.aes17/1', 'selective', '1 V RMS'),
  level_vrms: row('V', 'level.aes17/1', 'selective', '1 V RMS'),
  rms_dbfs: row('dBFS', 'level-rms.aes17/1', 'rms', SINE, AUDIO_BAND),
  peak_dbfs: row('dBFS', 'level-peak/1', 'peak', 'full scale'),
  dc: row('FS', 'dc.windowed-mean/1', 'rms', 'full scale'),
  h2_dbc: harmonic,
  h3_dbc: harmonic,
  h4_dbc: harmonic,
  h5_dbc: harmonic,
  h6_dbc: harmonic,
  h7_dbc: harmonic,
  h8_dbc: harmonic,
  h9_dbc: harmonic,
  thd_f_db: row('dB', 'thd-f.iec60268-3/1', 'selective', TONE, AUDIO_BAND),
  thd_f_percent: row('%', 'thd-f.iec60268-3/1', 'selective', TONE, AUDIO_BAND),
  thd_r_db: row('dB', 'thd-r.iec60268-3/1', 'selective', 'fundamental and harmonics', AUDIO_BAND),
  thd_r_percent: row('%', 'thd-r.iec60268-3/1', 'selective', 'fundamental and harmonics', AUDIO_BAND),
  thdn_dbc: row('dB', 'thdn-f.aes17/1', 'rms', TONE, AUDIO_BAND),
  thdn_re_total_db: row('dB', 'thdn.aes17/1', 'rms', 'total', AUDIO_BAND),
  thdn_percent: row('%', 'thdn.aes17/1', 'rms', 'total', AUDIO_BAND),
  sinad_db: row('dB', 'sinad.aes17/1', 'rms', 'noise and distortion', AUDIO_BAND),
  snr_20_20k_db: row('dB', 'snr/1', 'rms', 'noise without harmonics', AUDIO_BAND),
  snr_a_db: row('dB', 'snr-a.iec61672/1', 'rms', 'A-weighted noise without harmonics', AUDIO_BAND),
  snr_ccirrms_db: row('dB', 'snr-ccir-rms.aes17/1', 'rms', 'CCIR-RMS noise without harmonics', AUDIO_BAND),
  sideband_dbc: row('dBc', 'sideband/1', 'selective', TONE, AUDIO_BAND),

  noise_full_dbfs: row('dBFS', 'noise-full/1', 'rms', SINE),
  noise_20_20k_dbfs: noise('dBFS', 'noise.aes17/1', SINE),
  noise_20_fs2_dbfs: row('dBFS', 'noise-wide/1', 'rms', SINE),
  noise_a_dbfs: noise('dBFS', 'noise-a.iec61672/1', SINE),
  noise_ccirrms_dbfs: noise('dBFS', 'noise-ccir-rms.aes17/1', SINE),
  noise_quasipeak_dbfs: row('dBFS', 'noise-quasi-peak.bs468/1', 'quasi-peak', SINE),
  noise_density_dbfs_rthz: noise('dBFS/√Hz', 'noise-density/1', SINE),
  noise_20_20k_dbu: noise('dBu', 'noise.aes17/1', '0.7746 V RMS'),
  noise_a_dbu: noise('dBu', 'noise-a.iec61672/1', '0.7746 V RMS'),
  noise_ccirrms_dbu: noise('dBu', 'noise-ccir-rms.aes17/1', '0.7746 V RMS'),
  noise_quasipeak_dbu: row('dBqps', 'noise-quasi-peak.bs468/1', 'quasi-peak', '0.7746 V RMS'),
  noise_density_nv_rthz: noise('nV/√Hz', 'noise-density/1', '1 nV'),
  removed_tone_hz: row('Hz', 'frequency.ieee1057/1', 'fit', 'sample clock'),
  dynamic_range_full_db: row('dB', 'dynamic-range-full/1', 'rms', 'maximum output level'),
  dynamic_range_20_20k_db: noise('dB', 'dynamic-range-flat/1', 'maximum output level'),
  dynamic_range_a_db: row('dB A', 'dynamic-range-a/1', 'rms', 'maximum output level'),
  dynamic_range_ccirrms_db: noise('dB CCIR-RMS', 'dynamic-range.aes17/1', 'maximum output level'),

  imd_smpte_db: row('dB', 'imd.smpte-rp120/1', 'selective', 'upper tone'),
  imd_smpte_percent: row('%', 'imd.smpte-rp120/1', 'selective', 'upper tone'),
  imd_rss_sidebands_db: row('dB', 'imd-rss/1', 'selective', 'upper tone'),
  iec_mod_d2_db: row('dB', 'imd-mod.iec60268-3/1', 'selective', 'upper tone'),
  iec_mod_d3_db: row('dB', 'imd-mod.iec60268-3/1', 'selective', 'upper tone'),
  dfd_d2_db: row('dB', 'dfd.iec60268-3/1', 'selective', 'sum of both tones'),
  dfd_d3_db: row('dB', 'dfd.iec60268-3/1', 'selective', 'sum of both tones'),
  dfd_d2_re_f2_db: row('dB', 'dfd.iec60118/1', 'selective', 'upper tone'),
  dfd_d3_re_f2_db: row('dB', 'dfd.iec60118/1', 'selective', 'upper tone'),
  tdfd_db: row('dB', 'tdfd.iec60268-3/1', 'selective', 'sum of both tones'),

  latency_samples: row('samples', 'latency.excess-phase/1', 'fit', 'stimulus'),
  latency_ms: row('ms', 'latency.excess-phase/1', 'fit', 'stimulus'),
  latency_spread_samples: row('samples', 'latency.excess-phase/1', 'fit', 'largest less smallest'),
  latency_sweep_samples: row('samples', 'latency.excess-phase/1', 'fit', 'sweep'),
  latency_difference_samples: row('samples', 'latency.excess-phase/1', 'fit', 'latency of the bursts'),
  polarity_inverted: row('', 'polarity.correlation/1', 'fit', 'stimulus'),
  loop_gain_db: row('dB', 'gain.transfer/1', 'selective', 'stimulus'),
  fr_db: row('dB', 'response.transfer/1', 'selective', 'stimulus'),
  fr_min_db: row('dB', 'response.transfer/1', 'selective', 'gain at 1 kHz', AUDIO_BAND),
  fr_max_db: row('dB', 'response.transfer/1', 'selective', 'gain at 1 kHz', AUDIO_BAND),
  fr_deviation_db: row('dB', 'response.transfer/1', 'selective', 'gain at 1 kHz', AUDIO_BAND),
  phase_deg: row('°', 'phase.excess-of-delay/1', 'selective', 'stimulus, delayed by the latency'),
  inter_channel_level_db: row('dB', 'inter-channel.transfer/1', 'selective', 'first channel'),
  inter_channel_phase_deg: row('°', 'inter-channel.transfer/1', 'selective', 'first channel'),
  crosstalk_selective_db: row('dB', 'crosstalk.aes17/1', 'selective', 'driven channel'),
  crosstalk_broadband_db: row('dB', 'crosstalk-broadband/2', 'rms', 'driven channel', AUDIO_BAND),
  gain_linearity_error_db: row('dB', 'gain-linearity.aes17/1', 'selective', 'gain at the highest step'),
  max_level_dbfs: row('dBFS', 'max-level.aes17/1', 'rms', SINE, AUDIO_BAND),
  max_level_thdn_dbfs: row('dBFS', 'max-level-thdn.aes17/1', 'rms', SINE, AUDIO_BAND),
  max_level_compression_dbfs: row('dBFS', 'max-level-compression.aes17/1', 'selective', SINE),
  max_output_dbfs: row('dBFS', 'max-output.aes17/1', 'selective', SINE),
  max_output_dbu: row('dBu', 'max-output.aes17/1', 'selective', '0.7746 V RMS'),
  full_scale_send_dbu: row('dBu', 'full-scale.voltmeter/1', 'rms', '0.7746 V RMS'),
  full_scale_return_dbu: row('dBu', 'full-scale.voltmeter/1', 'rms', '0.7746 V RMS'),

  speed_error_percent: row('%', 'speed.aes6/1', 'fit', 'carrier'),
  weighted_peak2s_percent: row('%', 'wow-flutter.aes6/1', 'two-sigma', 'carrier', [0.1, 250]),
  weighted_rms_percent: row('%', 'wow-flutter-rms.jis/1', 'rms', 'carrier', [0.1, 250]),
  unweighted_peak2s_percent: row('%', 'wow-flutter-unweighted.aes6/1', 'two-sigma', 'carrier', [0.1, 250]),
  unweighted_rms_percent: row('%', 'wow-flutter-unweighted-rms.nab/1', 'rms', 'carrier', [0.1, 250]),
  wow_peak2s_percent: row('%', 'wow.aes6/1', 'two-sigma', 'carrier', [0.1, 6]),
  flutter_peak2s_percent: row('%', 'flutter.aes6/1', 'two-sigma', 'carrier', [6, 250]),

  mains_hz: row('Hz', 'mains.aes17/1', 'selective', 'sample clock'),
  hum_dbfs: row('dBFS', 'mains.aes17/1', 'selective', SINE),
  hum_total_dbfs: row('dBFS', 'mains.aes17/1', 'selective', SINE),

  integrated_lufs: row('LUFS', 'loudness.bs1770-5/1', 'rms', 'full scale, K-weighted'),
  momentary_max_lufs: row('LUFS', 'loudness-momentary.ebu3341/1', 'rms', 'full scale, K-weighted'),
  short_term_max_lufs: row('LUFS', 'loudness-short-term.ebu3341/1', 'rms', 'full scale, K-weighted'),
  loudness_range_lu: row('LU', 'loudness-range.ebu3342/1', 'rms', 'percentiles 10 and 95 of the short-term loudness'),
  true_peak_dbtp: row('dBTP', 'true-peak.bs1770-5/1', 'peak', 'full scale'),
} as const satisfies Record<string, Definition>;

export type MeasurementName = keyof typeof DEFINITIONS;
