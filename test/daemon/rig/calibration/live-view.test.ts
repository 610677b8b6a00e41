/** Levels and spectrum for a technician's eyes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CalibrationNews } from '../../../../core/contract/index.js';
import { type LiveNews, LiveView } from '../../../../daemon/rig/calibration/live-view.js';

const RATE = 48_000;

function watched(seconds: number, channels: ((n: number) => number)[], width = channels.length): LiveNews[] {
  const shown: LiveNews[] = [];
  const view = new LiveView(channels.length, RATE, (news) => void shown.push(news));
  const blockFrames = 480;
  for (let at = 0; at < seconds * RATE; at += blockFrames) {
    const block = new Int32Array(blockFrames * width).fill(2 ** 30);
    channels.forEach((signal, channel) => {
      for (let n = 0; n < blockFrames; n++) block[n * width + channel] = Math.round(signal(at + n) * 2 ** 31);
    });
    view.watch(block, width);
  }
  return shown;
}

const sine = (hz: number, peak: number) => (n: number) => peak * Math.sin((2 * Math.PI * hz * n) / RATE);

test('shows the level of a sine as AES17 counts it, silence as null, and the spectrum of the loudest channel', (t) => {
  let nowMs = 0;
  // Ten milliseconds a block: as in the stream.
  t.mock.method(performance, 'now', () => (nowMs += 10));
  const shown = watched(1, [() => 0, sine(1000, 0.1)], 4);
  assert.ok(shown.length >= 7 && shown.length <= 9, `${shown.length} in a second`);
  const last = shown.at(-1)!;
  assert.deepEqual(last.levels[0], { rmsDbfs: null, peakDbfs: null });
  assert.ok(Math.abs(last.levels[1]!.rmsDbfs! + 20) < 0.05 && Math.abs(last.levels[1]!.peakDbfs! + 20) < 0.05);
  const { channel, hz, dbfs } = last.spectrum!;
  assert.equal(channel, 2, 'channels beyond those of the insert are not looked at');
  const loudest = dbfs.indexOf(Math.max(...dbfs.map((level) => level ?? Number.NEGATIVE_INFINITY)));
  assert.ok(hz[loudest - 1]! <= 1000 && hz[loudest]! >= 1000 * 0.99, `${hz[loudest]} Hz`);
  assert.ok(Math.abs(dbfs[loudest]! + 20) < 0.6, `${dbfs[loudest]} dBFS`);
  assert.equal(hz.length, dbfs.length);
  CalibrationNews.parse(last);
});

test('shows no more often than eyes follow, however fast the clock is', (t) => {
  t.mock.method(performance, 'now', () => 0);
  assert.equal(watched(5, [sine(100, 0.5)]).length, 1);
});
