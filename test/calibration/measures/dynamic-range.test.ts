/** The dynamic range of words of 16 bits: published figures, with dither and without. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dynamicRangeMeasurements } from '../../../calibration/measures/dynamic-range.js';
import { dithered, made, near, numberOf, reasonOf, sine } from '../../peers/known-signals.js';

const RATE = 48_000;
const HZ = 996.83;
const tone = (t: number) => 1e-3 * sine(HZ, t);

test('16 bits with TPDF dither, 996.83 Hz at -60 dBFS', () => {
  const word = dithered(16, 3);
  const found = dynamicRangeMeasurements(
    made(RATE, 2 ** 19, (t) => word(tone(t))),
    RATE,
    { expectHz: HZ },
  );
  near(numberOf(found, 'dynamic_range_full_db'), 93.46, 0.1, 'flat');
  near(numberOf(found, 'dynamic_range_20_20k_db'), 94.28, 0.1, '20 Hz to 20 kHz');
  near(numberOf(found, 'dynamic_range_ccirrms_db'), 92.52, 0.1, 'CCIR-RMS');
  near(numberOf(found, 'dynamic_range_a_db'), 96.32, 0.1, 'A');
});

test('without dither it is that of the quantiser, 6.02 N + 1.76 dB', () => {
  const found = dynamicRangeMeasurements(
    made(RATE, 2 ** 19, (t) => Math.round(tone(t) * 2 ** 15) / 2 ** 15),
    RATE,
  );
  near(numberOf(found, 'dynamic_range_full_db'), 98.09, 0.03);
});

test('the maximum output level moves it, and no tone, or another, is refused', () => {
  const word = dithered(16, 3);
  const samples = made(RATE, 2 ** 17, (t) => word(tone(t)));
  const at = (maxOutputDbfs: number) =>
    numberOf(dynamicRangeMeasurements(samples, RATE, { maxOutputDbfs }), 'dynamic_range_ccirrms_db');
  near(at(-3), at(0) - 3, 1e-9);
  assert.equal(reasonOf(dynamicRangeMeasurements(samples, RATE, { expectHz: 440 })), 'no-tone');
  assert.equal(
    reasonOf(
      dynamicRangeMeasurements(
        made(RATE, 2 ** 16, () => word(0)),
        RATE,
      ),
    ),
    'no-tone',
  );
});
