/** EBU Tech 3341 (momentary and short-term, true peak) and Tech 3342 (range), over the meter that `outboard analyze` uses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProgrammeMeter } from '../../../calibration/measures/loudness.js';
import { made, near, numberOf, reasonOf, sine } from '../../peers/known-signals.js';

const RATE = 48_000;

/** Both channels alike; [seconds, peak dBFS] one after the other. */
function programme(segments: (readonly [number, number])[]) {
  const meter = new ProgrammeMeter(RATE, 2);
  for (const [seconds, db] of segments) {
    const peak = 10 ** (db / 20);
    const frames = Math.round(seconds * RATE);
    meter.add(
      made(1, 2 * frames, (i) => peak * sine(1000 / RATE, i >> 1)),
      frames,
    );
  }
  return meter.measurements();
}

test('Tech 3341 cases 1 and 2: momentary, short-term and integrated are the same for a steady tone', () => {
  for (const level of [-23, -33]) {
    const found = programme([[20, level]]);
    for (const name of ['integrated_lufs', 'momentary_max_lufs', 'short_term_max_lufs'])
      near(numberOf(found, name), level, 0.1, name);
  }
});

test('Tech 3341 case 9: alternating levels that are constant over 3 s', () => {
  const found = programme(
    Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? [1.34, -20] : [1.66, -30]) as [number, number]),
  );
  near(numberOf(found, 'short_term_max_lufs'), -23, 0.1);
});

test('Tech 3341 case 12: alternating levels that are constant over 400 ms', () => {
  const found = programme(
    Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? [0.18, -20] : [0.22, -30]) as [number, number]),
  );
  near(numberOf(found, 'momentary_max_lufs'), -23, 0.1);
});

test('Tech 3342 cases 1 to 4: the range', () => {
  const rows: (readonly [number[], number])[] = [
    [[-20, -30], 10],
    [[-20, -15], 5],
    [[-40, -20], 20],
    [[-50, -35, -20, -35, -50], 15],
  ];
  for (const [levels, expected] of rows)
    near(
      numberOf(programme(levels.map((level) => [20, level] as const)), 'loudness_range_lu'),
      expected,
      1,
      levels.join(' '),
    );
});

describe('Tech 3341, true peak', () => {
  const truePeak = (samples: Float64Array) => {
    const meter = new ProgrammeMeter(RATE, 1);
    meter.add(samples, samples.length);
    return numberOf(meter.measurements(), 'true_peak_dbtp');
  };
  const within = (actual: number, expected: number, what: string) =>
    assert.ok(
      actual <= expected + 0.2 && actual >= expected - 0.4,
      `${what}: ${actual}, expected ${expected} +0.2 -0.4`,
    );
  /** The tone fades in and out, as the published files do: an edge would have a peak of its own. */
  const faded = (length: number, n: number) => Math.min(1, n / 480, (length - 1 - n) / 480);
  const tone = (part: number, peak: number, degrees: number) =>
    made(
      RATE,
      RATE,
      (_, n) => peak * faded(RATE, n) * Math.sin(2 * Math.PI * ((n / part) % 1) + (degrees * Math.PI) / 180),
    );
  test('cases 15 to 19: sines whose samples miss the crest', () => {
    for (const [part, peak, degrees, expected] of [
      [4, 0.5, 0, -6],
      [4, 0.5, 45, -6],
      [6, 0.5, 60, -6],
      [8, 0.5, 67.5, -6],
      [4, 1.41, 45, 3],
    ] as const)
      within(truePeak(tone(part, peak, degrees)), expected, `fs/${part}, ${degrees} degrees`);
  });
  test('cases 20 to 23: a period of fs/4 within fs/6, made at four times the rate', () => {
    // At 4 fs: half of full scale at fs/6, with one period at fs/4 of full scale, then every fourth sample, as a band-limited path takes it.
    for (let offset = 0; offset < 4; offset++) {
      const long = 4 * 4800;
      const periods = 24 * 100;
      const dense = made(4 * RATE, long, (_, n) => {
        if (n < periods) return 0.5 * Math.sin((2 * Math.PI * n) / 24);
        if (n < periods + 16) return Math.sin((2 * Math.PI * (n - periods)) / 16);
        return 0.5 * Math.sin((2 * Math.PI * (n - periods - 16)) / 24);
      });
      const samples = made(RATE, 4800, (_, n) => faded(4800, n) * (dense[4 * n + offset] ?? 0));
      within(truePeak(samples), 0, `offset ${offset}`);
    }
  });
});

test('nothing over the gate, and nothing as long as a block, is refused', () => {
  assert.equal(reasonOf(programme([[5, -80]]).slice(0, 1)), 'silent');
  assert.equal(reasonOf(programme([[0.3, -20]]).slice(0, 1)), 'too-short');
  near(numberOf(programme([[0.3, -20]]), 'true_peak_dbtp'), -20, 0.2);
});

test('5.0 and 5.1 are weighted: case 6', () => {
  const levels = [-28, -28, -24, -30, -30];
  for (const [channels, of] of [
    [5, levels],
    [6, [-28, -28, -24, 0, -30, -30]],
  ] as const) {
    const meter = new ProgrammeMeter(RATE, channels);
    meter.add(
      made(
        1,
        channels * 20 * RATE,
        (i) => 10 ** (of[i % channels]! / 20) * sine(1000 / RATE, Math.floor(i / channels)),
      ),
      20 * RATE,
    );
    near(numberOf(meter.measurements(), 'integrated_lufs'), -23, 0.1, `${channels} channels`);
  }
});
