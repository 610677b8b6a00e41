/** A sweep through a polynomial: harmonics 2 to 4 that are 6.4 % in all, the same at every frequency, behind a delay. */
import { test } from 'node:test';
import { harmonicResponses } from '../../../calibration/dsp/harmonic-response.js';
import { exponentialSweep } from '../../../calibration/dsp/sweep.js';
import { near } from '../../peers/known-signals.js';

const RATE = 48_000;

test('the harmonics of a polynomial, 6.4 % flat', () => {
  const sweep = exponentialSweep(RATE, 20, 20_000, 5.87);
  const [h2, h3, h4] = [0.05, 0.0346, 0.02];
  const captured = new Float64Array(sweep.samples.length + RATE);
  // Chebyshev's polynomials make a harmonic each of a sine of amplitude 1.
  for (const [n, x] of sweep.samples.entries())
    captured[n + 100] = x + h2 * (2 * x * x - 1) + h3 * (4 * x ** 3 - 3 * x) + h4 * (8 * x ** 4 - 8 * x * x + 1);
  const found = harmonicResponses(sweep, captured, 100, 4);
  for (const hz of [100, 300, 1000, 3000, 4500]) {
    const parts = found.map((one) => one.at(hz)!);
    for (const [i, expected] of [h2, h3, h4].entries())
      near(parts[i]!, expected, 0.01 * expected, `harmonic ${i + 2} at ${hz} Hz`);
    near(Math.hypot(...parts), 0.064, 0.0007, `${hz} Hz`);
  }
  near(found[0]!.at(15_000) ?? -1, -1, 0, 'beyond what the sweep reaches');
});
