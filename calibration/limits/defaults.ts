/**
 * The limits that hold where nobody wrote others: engineering figures to be edited for each unit, from no standard. An insert without a
 * processor is the interface itself in a loop.
 */
import type { LimitsFile } from '../../core/contract/calibration-limits.js';

/** Frequencies of a test "at 1 kHz": 997 Hz, and the octave step next to it. */
const AT_1K: [number, number] = [900, 1300];
const AT_10K: [number, number] = [9000, 11_000];

/** What comes back at all has a latency; where nothing does, it is refused, and what is refused passes no rule. */
const FOUND: LimitsFile['classes'][string]['limits'] = {
  found: { measurement: 'latency_samples', min: -1 },
};

/** Two stimuli of one spectrum must find the same delay: else what was found is none, or the path is another one for each of them. */
const WITNESSED: LimitsFile['classes'][string]['limits'] = {
  'latency-witness': { measurement: 'latency_difference_samples', min: -0.1, max: 0.1 },
};

const DRIFT: LimitsFile['classes'][string]['drift'] = {
  gain: { measurement: 'loop_gain_db', change: 0.5, resolution: 0.02 },
  // The rig's own checks know the level of their tone alone.
  level: { measurement: 'level_dbfs', change: 0.5, resolution: 0.02 },
  response: { measurement: 'fr_deviation_db', change: 0.5, resolution: 0.02 },
  'match-level': { measurement: 'inter_channel_level_db', change: 0.5, resolution: 0.02 },
  'maximum-level': { measurement: 'max_level_dbfs', change: 0.5, resolution: 0.05 },
  // Lower down the harmonics of good gear are lost in noise, and so is their sum.
  thd: { measurement: 'thd_f_db', when: { level_dbfs: [-6, 0] }, change: 3, resolution: 0.5 },
  thdn: { measurement: 'thdn_re_total_db', change: 3, resolution: 0.2 },
  noise: { measurement: 'noise_20_20k_dbfs', change: 3, resolution: 0.2 },
  'dynamic-range': { measurement: 'dynamic_range_ccirrms_db', change: 3, resolution: 0.2 },
};

export const DEFAULT_CLASSES: LimitsFile['classes'] = {
  loopback: {
    limits: {
      ...FOUND,
      ...WITNESSED,
      gain: { measurement: 'loop_gain_db', min: -0.05, max: 0.05 },
      thdn: { measurement: 'thdn_re_total_db', when: { hz: AT_1K }, max: -100 },
      'dynamic-range': { measurement: 'dynamic_range_ccirrms_db', min: 110 },
      response: { measurement: 'fr_deviation_db', min: -0.1, max: 0.1 },
      'crosstalk-1k': { measurement: 'crosstalk_selective_db', when: { hz: AT_1K }, max: -100 },
      'crosstalk-10k': { measurement: 'crosstalk_selective_db', when: { hz: AT_10K }, max: -85 },
      // The fraction of a sample is an estimate from a noisy capture: a hundredth of one is none.
      'latency-spread': { measurement: 'latency_spread_samples', max: 0.01 },
    },
    drift: DRIFT,
  },
  line: {
    limits: {
      ...FOUND,
      ...WITNESSED,
      gain: { measurement: 'loop_gain_db', min: -0.2, max: 0.2 },
      response: { measurement: 'fr_deviation_db', min: -0.5, max: 0.5 },
      // 0.05 %
      thdn: { measurement: 'thdn_re_total_db', when: { hz: AT_1K }, max: -66.02 },
      noise: { measurement: 'noise_20_20k_dbfs', unit: 'dBu', max: -80 },
      crosstalk: { measurement: 'crosstalk_selective_db', max: -75 },
      polarity: { measurement: 'polarity_inverted', max: 0 },
      'match-level': { measurement: 'inter_channel_level_db', min: -0.2, max: 0.2 },
      'match-phase': { measurement: 'inter_channel_phase_deg', min: -3, max: 3 },
    },
    drift: DRIFT,
  },
  tape: {
    limits: {
      ...FOUND,
      'wow-and-flutter': { measurement: 'weighted_peak2s_percent', max: 0.1 },
      speed: { measurement: 'speed_error_percent', min: -0.2, max: 0.2 },
      polarity: { measurement: 'polarity_inverted', max: 0 },
    },
    drift: DRIFT,
  },
};

/** What holds where the rig has no file of its own. */
export const DEFAULT_LIMITS: LimitsFile = { version: 'default-3', classes: {}, processors: {}, inserts: {} };
