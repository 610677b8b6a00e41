/** The account of frames, against a model that keeps every frame by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CaptureRing } from '../../../drivers/audio/capture-ring.js';
import { DelayLine } from '../../../drivers/audio/delay-line.js';
import { FrameSet } from '../../../drivers/audio/frame-set.js';
import { PlaybackRing } from '../../../drivers/audio/playback-ring.js';

const frame = fc.integer({ min: 0, max: 60 });
const range = fc.tuple(frame, frame).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

function fill(model: Set<number>, from: number, to: number): void {
  for (let i = from; i < to; i++) model.add(i);
}

function first(from: number, to: number, holds: (frame: number) => boolean): number {
  for (let i = from; i < to; i++) if (holds(i)) return i;
  return to;
}

test('a set of frames', () => {
  const step = fc.record({ kind: fc.constantFrom('add', 'add', 'add', 'removeFrom', 'removeBefore'), range });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), range, (steps, [from, to]) => {
      const set = new FrameSet();
      const model = new Set<number>();
      for (const { kind, range: r } of steps) {
        if (kind === 'add') {
          set.add(...r);
          fill(model, ...r);
        } else if (kind === 'removeFrom') {
          set.removeFrom(r[0]);
          for (const f of model) if (f >= r[0]) model.delete(f);
        } else {
          set.removeBefore(r[0]);
          for (const f of model) if (f < r[0]) model.delete(f);
        }
      }
      assert.equal(
        set.firstPresent(from, to),
        first(from, to, (f) => model.has(f)),
      );
      assert.equal(
        set.firstMissing(from, to),
        first(from, to, (f) => !model.has(f)),
      );
      assert.equal(set.empty, model.size === 0);
      assert.equal(set.end, model.size === 0 ? 0 : Math.max(...model) + 1);
    }),
    { numRuns: 2000 },
  );
});

test('what is declared and missing on any channel', () => {
  const entry = fc.record({ channel: fc.integer({ min: 0, max: 2 }), range });
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 6 }),
      fc.array(entry, { maxLength: 10 }),
      range,
      (armed, written, [from, to]) => {
        const ring = new PlaybackRing(3, 64);
        const missing = new Set<string>();
        for (const { channel, range: r } of armed) {
          ring.arm(channel, ...r);
          for (let f = r[0]; f < r[1]; f++) missing.add(`${channel}/${f}`);
        }
        for (const { channel, range: r } of written) {
          ring.write(channel, r[0], r[1], new Int32Array(64), r[0], 0, 1);
          for (let f = r[0]; f < r[1]; f++) missing.delete(`${channel}/${f}`);
        }
        const lacks = (f: number) => [0, 1, 2].some((c) => missing.has(`${c}/${f}`));
        const at = ring.firstMissing(from, to);
        assert.equal(at, first(from, to, lacks));
        if (at < to)
          assert.equal(
            ring.missingEnd(at, to),
            first(at, to, (f) => !lacks(f)),
          );
      },
    ),
    { numRuns: 2000 },
  );
});

test('the ranges that are armed, or missing, with their channels; and the samples of all channels', () => {
  const entry = fc.record({ channel: fc.integer({ min: 0, max: 2 }), range });
  const entries = fc.array(entry, { maxLength: 8 });
  fc.assert(
    fc.property(entries, entries, range, (armed, written, [from, to]) => {
      const ring = new PlaybackRing(3, 64);
      const model = { armed: new Set<string>(), missing: new Set<string>() };
      const samples = new Int32Array((to - from) * 3);
      for (const { channel, range: r } of armed) {
        ring.arm(channel, ...r);
        for (let f = Math.max(from, r[0]); f < Math.min(to, r[1]); f++) model.armed.add(`${channel + 1}/${f}`);
      }
      for (const key of model.armed) model.missing.add(key);
      for (const { channel, range: r } of written) {
        const block = Int32Array.from({ length: 64 }, (_, i) => 100 * channel + i + 1);
        ring.write(channel, r[0], r[1], block, 0, 0, 1);
        for (let f = Math.max(from, r[0]); f < Math.min(to, r[1]); f++) {
          model.missing.delete(`${channel + 1}/${f}`);
          samples[(f - from) * 3 + channel] = 100 * channel + f + 1;
        }
      }
      for (const [ranges, expected] of [
        [ring.armedRanges(from, to), model.armed],
        [ring.missingRanges(from, to), model.missing],
      ] as const) {
        const found: string[] = [];
        for (const { channels, from: a, to: b } of ranges) {
          for (const channel of channels) for (let f = a; f < b; f++) found.push(`${channel}/${f}`);
        }
        assert.deepEqual(found.sort(), [...expected].sort());
      }
      const into = new Int32Array(samples.length);
      ring.interleave(from, to - from, into);
      assert.deepEqual(into, samples);
    }),
    { numRuns: 2000 },
  );
});

test('captured frames come out in order, never across a gap', () => {
  const step = fc.record({ kind: fc.constantFrom('store', 'gap', 'read'), frames: fc.integer({ min: 1, max: 12 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ring = new CaptureRing(2, 16);
      let stored = 0;
      let read = 0;
      const gaps: number[] = [];
      for (const { kind, frames } of steps) {
        if (kind === 'gap') {
          ring.markGap();
          gaps.push(stored);
        } else if (kind === 'store') {
          const now = Math.min(frames, ring.contiguousRoom);
          for (let i = 0; i < 2 * now; i++) ring.samples[ring.writeIndex + i] = 2 * stored + i;
          ring.commit(now);
          stored += now;
        } else {
          const into = new Int32Array(2 * frames);
          const got = ring.read(into, frames);
          const next = gaps.find((g) => g > read) ?? stored;
          assert.equal(got, Math.min(frames, next - read));
          for (let i = 0; i < 2 * got; i++) assert.equal(into[i], 2 * read + i);
          read += got;
        }
        assert.equal(ring.available, stored - read);
      }
    }),
    { numRuns: 1000 },
  );
});

test('a delay line, with a delay that changes, against the whole past', () => {
  const step = fc.record({ frames: fc.integer({ min: 1, max: 600 }), delay: fc.integer({ min: 1, max: 5000 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
      const line = new DelayLine();
      const past: number[] = [];
      let longest = 0;
      for (const { frames, delay } of steps) {
        const block = new Float64Array(600);
        for (let i = 0; i < frames; i++) block[i] = past.length + i + 1;
        const kept = longest;
        longest = Math.max(longest, delay);
        const start = past.length;
        for (let i = 0; i < frames; i++) past.push(block[i]!);
        line.process(block, frames, delay);
        for (let i = 0; i < frames; i++) {
          // What is older than the longest delay so far may be forgotten, and is zero then.
          const expected = past[start + i - delay] ?? 0;
          const age = delay - i;
          if (age <= kept || block[i] !== 0) assert.equal(block[i], expected);
        }
      }
    }),
    { numRuns: 200 },
  );
});
