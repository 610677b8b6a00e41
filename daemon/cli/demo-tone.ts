/** The demo's own source: five seconds of plucked notes, stereo, 48 kHz, 24 bit. The same bytes each time. */
import { encodeFrames, wavHeader, wavTrailer } from '../../drivers/audio/wav-writer.js';

const RATE_HZ = 48_000;
const SECONDS = 5;
const FRAMES = RATE_HZ * SECONDS;
const FULL_SCALE = 2 ** 31;
/** A pentatonic run, in semitones above A3. */
const NOTES = [0, 3, 7, 10, 12, 15, 12, 10, 7, 3];
const A3_HZ = 220;
const STEP_SECONDS = 0.45;
const NOTE_SECONDS = 1.8;
/** Time until a note has fallen to 1/e. */
const DECAY_SECONDS = 0.35;
const ATTACK_SECONDS = 0.004;
/** Below full scale with all overlapping notes: the loudest moment is about -7 dBFS. */
const NOTE_AMPLITUDE = 0.26;
const PARTIALS = [1, 0.35, 0.15];

/** The WAV file. */
export function demoWav(): Uint8Array {
  const left = new Float64Array(FRAMES);
  const right = new Float64Array(FRAMES);
  NOTES.forEach((semitones, index) => {
    // From left to right and back, equal power.
    const angle = (Math.PI / 2) * (0.5 + 0.35 * Math.sin(index * 1.3));
    pluck(A3_HZ * 2 ** (semitones / 12), index * STEP_SECONDS, (frame, value) => {
      left[frame]! += value * Math.cos(angle);
      right[frame]! += value * Math.sin(angle);
    });
  });
  const samples = new Int32Array(FRAMES * 2);
  for (let frame = 0; frame < FRAMES; frame++) {
    samples[frame * 2] = Math.round(left[frame]! * FULL_SCALE);
    samples[frame * 2 + 1] = Math.round(right[frame]! * FULL_SCALE);
  }
  const layout = { rate: RATE_HZ, channels: 2, encoding: 'pcm24' as const, frames: FRAMES };
  return Buffer.concat([wavHeader(layout), encodeFrames(samples, 'pcm24'), wavTrailer(layout)]);
}

function pluck(hz: number, fromSeconds: number, add: (frame: number, value: number) => void): void {
  const first = Math.round(fromSeconds * RATE_HZ);
  const frames = Math.min(Math.round(NOTE_SECONDS * RATE_HZ), FRAMES - first);
  for (let i = 0; i < frames; i++) {
    const t = i / RATE_HZ;
    const attack = Math.min(1, t / ATTACK_SECONDS);
    // To silence at the note's end, so that nothing clicks.
    const release = Math.min(1, (frames - i) / (RATE_HZ * 0.02));
    let value = 0;
    PARTIALS.forEach((amplitude, partial) => {
      // Upper partials die sooner, as on a string.
      const decay = Math.exp((-t / DECAY_SECONDS) * (1 + partial * 0.8));
      value += amplitude * decay * Math.sin(2 * Math.PI * hz * (partial + 1) * t);
    });
    add(first + i, NOTE_AMPLITUDE * attack * release * value);
  }
}
