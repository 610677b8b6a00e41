/** Vectors: ITU-R BS.1770-5 (printed coefficients, 997 Hz), EBU Tech 3341 cases 1 to 6. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { highPass, shelf } from '../../../calibration/dsp/k-weighting.js';
import { LoudnessMeter } from '../../../calibration/dsp/loudness.js';

const RATE = 48_000;

/** Feeds sines, one segment after the other without a jump in phase; levels are peaks in dBFS per channel. */
function measure(
  segments: { seconds: number; levels: number[] }[],
  o: { rate?: number; hz?: number; weights?: number[]; ints?: boolean } = {},
): number | null {
  const { rate = RATE, hz = 1000 } = o;
  const channels = segments[0]!.levels.length;
  const meter = new LoudnessMeter(rate, channels, o.weights);
  let frame = 0;
  for (const { seconds, levels } of segments) {
    const frames = Math.round(seconds * rate);
    const peaks = levels.map((db) => 10 ** (db / 20));
    const block = new Float64Array(frames * channels);
    for (let i = 0; i < frames; i++, frame++) {
      const sine = Math.sin((2 * Math.PI * hz * frame) / rate);
      for (let c = 0; c < channels; c++) block[i * channels + c] = sine * peaks[c]!;
    }
    if (o.ints === true)
      meter.add(
        Int32Array.from(block, (x) => Math.round(x * 2 ** 23) * 256),
        frames,
      );
    else meter.add(block, frames);
  }
  return meter.integratedLufs();
}

function near(actual: number | null, expected: number, tolerance: number): void {
  assert.ok(
    actual !== null && Math.abs(actual - expected) <= tolerance,
    `${actual} is not ${expected} +- ${tolerance}`,
  );
}

const stereo = (seconds: number, db: number) => ({ seconds, levels: [db, db] });

describe('EBU Tech 3341', () => {
  test('case 1', () => near(measure([stereo(20, -23)]), -23, 0.1));
  test('case 2', () => near(measure([stereo(20, -33)]), -33, 0.1));
  test('case 3', () => near(measure([stereo(10, -36), stereo(60, -23), stereo(10, -36)]), -23, 0.1));
  test('case 4', () => {
    const segments = [stereo(10, -72), stereo(10, -36), stereo(60, -23), stereo(10, -36), stereo(10, -72)];
    near(measure(segments), -23, 0.1);
  });
  test('case 5', () => near(measure([stereo(20, -26), stereo(20.1, -20), stereo(20, -26)]), -23, 0.1));
  test('case 6', () => {
    near(measure([{ seconds: 20, levels: [-28, -28, -24, -30, -30] }], { weights: [1, 1, 1, 1.41, 1.41] }), -23, 0.1);
  });
});

test('997 Hz at full scale in one channel reads -3.01 at every rate', () => {
  for (const rate of [32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 384_000]) {
    near(measure([{ seconds: 2, levels: [0] }], { rate, hz: 997 }), -3.01, 0.02);
  }
  near(measure([{ seconds: 2, levels: [0, -200] }], { hz: 997 }), -3.01, 0.005);
});

test('the gain of both stages at 997 Hz is +0.691 dB', () => {
  const z = (2 * Math.PI * 997) / RATE;
  const power = ({ b0, b1, b2, a1, a2 }: ReturnType<typeof shelf>) => {
    const at = (c0: number, c1: number, c2: number) =>
      (c0 + c1 * Math.cos(z) + c2 * Math.cos(2 * z)) ** 2 + (c1 * Math.sin(z) + c2 * Math.sin(2 * z)) ** 2;
    return at(b0, b1, b2) / at(1, a1, a2);
  };
  near(10 * Math.log10(power(shelf(RATE)) * power(highPass(RATE))), 0.691, 6e-5);
});

test('the weighting is the same at other rates, at low and middle frequencies', () => {
  for (const hz of [25, 60, 400, 3000]) {
    const at48 = measure([{ seconds: 4, levels: [0] }], { hz })!;
    for (const rate of [44_100, 96_000, 192_000])
      near(measure([{ seconds: 4, levels: [0] }], { rate, hz }), at48, 0.05);
  }
});

test('the coefficients at 48 kHz are the printed ones', () => {
  const s = shelf(48_000);
  const h = highPass(48_000);
  const printed = [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585];
  for (const [i, value] of [s.b0, s.b1, s.b2, s.a1, s.a2].entries()) assert.ok(Math.abs(value - printed[i]!) < 1e-14);
  assert.deepEqual([h.b0, h.b1, h.b2], [1, -2, 1]);
  assert.ok(Math.abs(h.a1 + 1.99004745483398) < 1e-14 && Math.abs(h.a2 - 0.99007225036621) < 1e-14);
});

test('mono counts once, two equal channels 3 dB more', () => {
  const one = measure([{ seconds: 2, levels: [-20] }])!;
  near(measure([{ seconds: 2, levels: [-20, -20] }]), one + 10 * Math.log10(2), 1e-9);
});

test('left-justified integers read like floats', () => {
  near(measure([stereo(5, -23)], { ints: true }), measure([stereo(5, -23)])!, 1e-4);
});

test('nothing under the gate, nothing shorter than a block, nothing at all', () => {
  assert.equal(measure([stereo(5, -71)]), null);
  assert.equal(measure([stereo(0.399, -10)]), null);
  assert.notEqual(measure([stereo(0.4, -10)]), null);
  assert.equal(new LoudnessMeter(48_000, 2).integratedLufs(), null);
});

test('how the sound is cut into blocks does not matter; asking in between does not either', () => {
  const rate = 11_025; // ten does not divide it
  const sound = Float64Array.from({ length: 2 * rate * 2 }, (_, i) => Math.sin(i * 0.1) * Math.sin(i * 0.0001));
  const whole = new LoudnessMeter(rate, 2);
  whole.add(sound, sound.length / 2);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 5, maxLength: 40 }), (sizes) => {
      const parts = new LoudnessMeter(rate, 2);
      let at = 0;
      for (let i = 0; at < sound.length / 2; i++) {
        const frames = Math.min((sizes[i % sizes.length] ?? 0) + 1, sound.length / 2 - at);
        parts.add(sound.subarray(2 * at, 2 * (at + frames)), frames);
        parts.integratedLufs();
        at += frames;
      }
      near(parts.integratedLufs(), whole.integratedLufs()!, 1e-9);
    }),
    { numRuns: 30 },
  );
});

test('hours cost kilobytes, and silence after sound changes nothing', () => {
  const meter = new LoudnessMeter(8000, 1);
  const second = Float64Array.from({ length: 8000 }, (_, i) => Math.sin(i * 0.5) * 0.1);
  for (let i = 0; i < 10; i++) meter.add(second, 8000);
  const loud = meter.integratedLufs()!;
  const before = process.memoryUsage().arrayBuffers;
  const silence = new Float64Array(8000);
  for (let i = 0; i < 3600; i++) meter.add(silence, 8000);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
  near(meter.integratedLufs(), loud, 0.2);
});

test('refuses what cannot be', () => {
  assert.throws(() => new LoudnessMeter(0, 2), RangeError);
  assert.throws(() => new LoudnessMeter(48_000, 0), RangeError);
  assert.throws(() => new LoudnessMeter(48_000, 2, [1]), RangeError);
  assert.throws(() => new LoudnessMeter(48_000, 2).add(new Int32Array(3), 2), RangeError);
});
