import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeRig, playMono, RATE, rms, rmsDbfs, sine } from './virtual-rig.js';

const impulse = (frame: number) => (frame === 0 ? 0.5 : 0);
const silence = () => 0;

function near(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} +- ${tolerance}`);
}

async function started(path: object, o: object = {}) {
  const rig = makeRig({ paths: { a: path }, loopLatencyFrames: 0, ...o });
  return { rig, ...(await rig.start()) };
}

test('playback frame p comes back at capture frame p + loop latency + path delay', async () => {
  const { claim } = await started({ delayFrames: 64 }, { loopLatencyFrames: 64 });
  const heard = playMono(claim, { send: 1, back: 1, frames: 300, signal: impulse });
  assert.equal(heard.indexOf(0.5), 128);
  assert.equal(heard.filter((x) => x !== 0).length, 1);
});

test('gain, of the path and of the processor, and mute', async () => {
  const { rig, claim } = await started({ gainDb: -3 });
  const modifier = rig.analog.modifier('a');
  modifier.gainDb = -3;
  const dc = { send: 2, back: 2, frames: 1000, signal: () => 0.5 };
  near(20 * Math.log10(playMono(claim, dc)[999]! / 0.5), -6, 0.0001);
  modifier.muted = true;
  assert.equal(playMono(claim, dc)[999], 0);
  modifier.muted = false;
  modifier.gainDb = 0;
  near(20 * Math.log10(playMono(claim, dc)[999]! / 0.5), -3, 0.0001);
  assert.throws(() => {
    modifier.gainDb = Number.NaN;
  }, RangeError);
  assert.throws(() => rig.analog.modifier('z'), RangeError);
});

test('the converter clamps at full scale and rounds to 24 bits', async () => {
  const { claim } = await started({ gainDb: 6 });
  const heard = playMono(claim, { send: 1, back: 1, frames: 400, signal: sine(1000, 0.9) });
  assert.equal(Math.max(...heard), 1 - 2 ** -23);
  assert.equal(Math.min(...heard), -1);
  assert.ok(heard.every((x) => Number.isInteger(x * 2 ** 23)));
});

test('the converter rounds to the nearest step, not towards zero', async () => {
  for (const sign of [1, -1]) {
    const step = sign * 2 ** -23;
    const { rig, claim } = await started({});
    const one = { send: 1, back: 1, frames: 600, signal: () => step };
    rig.analog.modifier('a').gainDb = -4;
    assert.equal(playMono(claim, one)[599], step);
    rig.analog.modifier('a').gainDb = -7;
    assert.equal(Math.abs(playMono(claim, one)[599]!), 0);
  }
});

test('the delay of a processor, in whole frames, live; without it the line forgets', async () => {
  const { rig, claim } = await started({ delayFrames: 10 });
  const modifier = rig.analog.modifier('a');
  modifier.delaySeconds = 0.25;
  const heard = playMono(claim, { send: 1, back: 1, frames: 13_000, signal: impulse });
  assert.equal(heard.indexOf(0.5), 10 + 12_000);
  modifier.delaySeconds = 0;
  assert.equal(playMono(claim, { send: 1, back: 1, frames: 50, signal: impulse }).indexOf(0.5), 10);
});

test('a polynomial: harmonics of the size that the algebra says', async () => {
  const { claim } = await started({ poly: [0.02, 0, 0.1] });
  const heard = playMono(claim, { send: 1, back: 1, frames: 100, signal: (i) => -1 + i / 50 });
  for (const [i, y] of heard.entries()) {
    const x = -1 + i / 50;
    const expected = Math.max(-1, Math.min(1 - 2 ** -23, x + 0.02 * x ** 2 + 0.1 * x ** 4));
    near(y, expected, 2 ** -23);
  }
});

test('a first-order low-pass: -3.01 dB at its corner, 20 dB a decade, nothing at DC', async () => {
  const { claim } = await started({ lowpassHz: 1000 });
  const level = (hz: number) => {
    const heard = playMono(claim, { send: 1, back: 1, frames: RATE, signal: sine(hz, 0.5) }).subarray(RATE / 2);
    return 20 * Math.log10((rms(heard) * Math.SQRT2) / 0.5);
  };
  near(level(1000), -3.0103, 0.001);
  near(level(20), 0, 0.01);
  near(level(100) - level(1000), 2.97, 0.02);
  near(playMono(claim, { send: 1, back: 1, frames: 9000, signal: () => 0.25 })[8999]!, 0.25, 1e-6);
});

describe('noise', () => {
  test('has the level that AES17 means, is white enough, and differs between channels', async () => {
    const { claim } = await started({ noiseDbfs: -60 });
    const left = playMono(claim, { send: 1, back: 1, frames: 2 * RATE, signal: silence });
    near(rmsDbfs(left), -60, 0.1);
    const { claim: other } = await started({ noiseDbfs: -60 });
    const right = playMono(other, { send: 1, back: 2, frames: 2 * RATE, signal: silence });
    const product = left.reduce((sum, x, i) => sum + x * right[i]!, 0) / left.length;
    near(product / (rms(left) * rms(right)), 0, 0.02);
    const neighbour = left.reduce((sum, x, i) => sum + x * (left[i + 1] ?? 0), 0) / left.length;
    near(neighbour / rms(left) ** 2, 0, 0.02);
  });

  test('is the same on every run, however it is read', async () => {
    const one = await started({ noiseDbfs: -40 });
    const two = await started({ noiseDbfs: -40 });
    const play = { send: 1, back: 1, frames: 5000, signal: sine(440, 0.1) };
    assert.deepEqual(playMono(one.claim, play), playMono(two.claim, { ...play, blockFrames: 77 }));
  });
});

test('crosstalk within an insert: what one channel gives is heard on the other, and nothing of it comes back', async () => {
  const { claim } = await started({ crosstalkDb: -40, gainDb: -6 });
  const dc = { send: 1, frames: 600, signal: () => 0.5 };
  const driven = 0.5 * 10 ** (-6 / 20);
  near(playMono(claim, { ...dc, back: 1 })[599]!, driven, 2 ** -23);
  near(playMono(claim, { ...dc, back: 2 })[599]!, driven / 100, 2 ** -23);
});

test('crosstalk: the input of one insert at the returns of another, whatever its own path does', async () => {
  const rig = makeRig({
    paths: { a: {}, b: { gainDb: -20, delayFrames: 100 } },
    crosstalk: [{ from: 'a', to: 'b', db: -40 }],
    loopLatencyFrames: 0,
  });
  const { claim } = await rig.start();
  rig.analog.modifier('a').muted = true;
  const heard = playMono(claim, { send: 1, back: 3, frames: RATE, signal: sine(1000, 1 - 2 ** -23) });
  near(rmsDbfs(heard), -40, 0.01);
  assert.equal(rms(playMono(claim, { send: 3, back: 1, frames: 1000, signal: sine(1000, 0.5) })), 0);
});

describe('memory', () => {
  test('is down by 60 dB after memorySeconds, and ends in silence', async () => {
    const { claim } = await started({ memorySeconds: 1 });
    const heard = playMono(claim, { send: 1, back: 1, frames: 4 * RATE, signal: impulse });
    assert.equal(heard[0], 0.5);
    near(20 * Math.log10(heard[RATE / 20]! / 0.5), -3, 0.001);
    near(20 * Math.log10(heard[RATE]! / 0.5), -60, 0.01);
    assert.ok(heard.subarray(3 * RATE).every((x) => x === 0));
  });

  test('lasts while the clock stands still, from stream to stream, and over a change of rate', async () => {
    const { rig, claim } = await started({ memorySeconds: 10 });
    playMono(claim, { send: 1, back: 1, frames: RATE, signal: sine(100, 0.01) });
    const before = rms(playMono(claim, { send: 1, back: 1, frames: 4800, signal: silence }));
    rig.tick(1000 * RATE);
    const after = rms(playMono(claim, { send: 1, back: 1, frames: 4800, signal: silence }));
    near(20 * Math.log10(after / before), -0.6, 0.01);
    await rig.start();
    const next = rms(playMono(claim, { send: 1, back: 1, frames: 4800, signal: silence }));
    near(20 * Math.log10(next / after), -0.6, 0.01);
    await rig.start({ rate: 96_000 });
    const faster = rms(playMono(claim, { send: 1, back: 1, frames: 9600, signal: silence }));
    near(20 * Math.log10(faster / next), -0.6, 0.1);
  });

  test('costs nothing where there is none: the path is exact', async () => {
    const { claim } = await started({ memorySeconds: 0 });
    const heard = playMono(claim, { send: 1, back: 1, frames: 1000, signal: (i) => i / 1024 });
    assert.ok(heard.every((x, i) => x === i / 1024));
  });
});
