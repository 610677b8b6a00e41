/** The procedures by name. */
import type { CalibrationKind } from '../../core/contract/calibration.js';
import { measureCrosstalk } from './crosstalk.js';
import { measureDistortion } from './distortion.js';
import { measureHeadroom } from './headroom.js';
import { measureIntermodulation } from './intermodulation.js';
import { measureLatency } from './latency.js';
import { measureLevel } from './level.js';
import { located } from './located.js';
import { measureNoise } from './noise.js';
import type { Procedure } from './procedure.js';
import { measureResponse } from './response.js';
import { selfTest } from './self-test.js';
import { measureSnr } from './snr.js';
import { suite } from './suite.js';

export const PROCEDURES: Readonly<Record<CalibrationKind, Procedure>> = {
  level: located(measureLevel),
  thd: located(measureDistortion),
  snr: located(measureSnr),
  noise: located(measureNoise),
  response: located(measureResponse),
  crosstalk: located(measureCrosstalk),
  latency: measureLatency,
  imd: located(measureIntermodulation),
  headroom: located(measureHeadroom),
  suite,
  'self-test': selfTest,
};
