/**
 * Random and damaged bytes into everything that reads what a unit sends. What must hold: no exception, no memory beyond the limits of the
 * framer, no message that was not on the wire, and no value that the unit did not say.
 */
import assert from 'node:assert/strict';
import type { SettingValue } from '../../../core/contract/primitives.js';
import { SumFramer, sum8 } from '../../../drivers/processors/code-drivers/sum-framer.js';
import { LineFramer } from '../../../drivers/processors/framer.js';
import { MidiFramer } from '../../../drivers/processors/midi-framer.js';
import type { Parameter } from '../../../drivers/processors/parameter.js';
import type { Profile } from '../../../drivers/processors/profile.js';
import { Speech } from '../../../drivers/processors/speech.js';

/** Numbers that look random and are the same in every run (xorshift32). */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

export interface Framing {
  framer: { push(bytes: Uint8Array, nowMs: number): string[]; reset(): void };
  maxBytes: number;
  /** Bytes that mean something to this framing: as random as the rest, and more frequent. */
  loved: readonly number[];
  /** A message as it should be. */
  whole: readonly number[];
  /** Throws for a message that this framing must not let through. */
  check(message: string): void;
}

function nineFraming(gapMs: number): Framing {
  return {
    framer: new SumFramer([0x1, 0x7], gapMs),
    maxBytes: 18,
    loved: [0x10, 0x01, 0x11, 0x7a, 0x20, 0x74, 0x12],
    whole: [0x74, 0x04, 0x01, 0x02, 0x03, 0x04, 0x82],
    check(message) {
      const header = message.charCodeAt(0);
      assert.equal(message.length, 3 + (header & 15));
      assert.equal(sum8(message.slice(0, -1)), message.charCodeAt(message.length - 1));
    },
  };
}

function midiCheck(maxBytes: number): (message: string) => void {
  return (message) => {
    const bytes = Array.from(message, (c) => c.charCodeAt(0));
    const [status = 0, ...rest] = bytes;
    assert.ok(status >= 0x80 && status < 0xf8 && status !== 0xf7, `status ${status}`);
    const data = status === 0xf0 ? rest.slice(0, -1) : rest;
    if (status === 0xf0) assert.equal(rest.at(-1), 0xf7);
    assert.ok(data.every((byte) => byte < 0x80));
    assert.ok(bytes.length <= maxBytes || status !== 0xf0);
    const channel = status < 0xf0 ? (status >= 0xc0 && status < 0xe0 ? 2 : 3) : undefined;
    if (channel !== undefined) assert.equal(bytes.length, channel);
  };
}

function lineCheck(end: string, maxBytes: number): (message: string) => void {
  return (message) => {
    assert.ok(message.length <= maxBytes);
    assert.ok(!message.includes(end));
  };
}

/** Every framing that there is, fresh. */
export const FRAMINGS: Record<string, () => Framing> = {
  lines: () => ({
    framer: new LineFramer({ end: '\r\n', maxBytes: 20, gapMs: 50 }),
    maxBytes: 20,
    loved: [13, 10, 13, 10, 48],
    whole: [48, 49, 13, 10],
    check: lineCheck('\r\n', 20),
  }),
  'lines with a short end': () => ({
    framer: new LineFramer({ end: '\r', maxBytes: 160, gapMs: 50 }),
    maxBytes: 160,
    loved: [13, 48],
    whole: [48, 49, 13],
    check: lineCheck('\r', 160),
  }),
  midi: () => ({
    framer: new MidiFramer({ maxBytes: 64, gapMs: 250 }),
    maxBytes: 64,
    loved: [0xf0, 0xf7, 0xb0, 0xfe, 0x00],
    whole: [0xf0, 0x7d, 0x01, 0xf7],
    check: midiCheck(64),
  }),
  '9-pin': () => nineFraming(10),
};

/** Bytes of rubbish in pieces, with pauses. Returns how many messages came out. */
export function rubbish({ framer, loved, whole, check }: Framing, bytes: number, seed: number): number {
  const random = numbersFrom(seed);
  let nowMs = 0;
  let messages = 0;
  for (let sent = 0; sent < bytes; ) {
    const isWhole = random(8) === 0;
    const piece = isWhole
      ? Uint8Array.from(whole)
      : Uint8Array.from({ length: 1 + random(64) }, () =>
          random(3) === 0 ? (loved[random(loved.length)] as number) : random(256),
        );
    sent += piece.length;
    nowMs += isWhole || random(40) === 0 ? 1000 : random(5);
    for (const message of framer.push(piece, nowMs)) {
      messages++;
      check(message);
    }
    if (random(500) === 0) framer.reset();
  }
  return messages;
}

/** What a unit answers, and what the profile takes it for. */
export interface Answers {
  profile: Profile;
  parameter: Parameter;
  index: number | null;
  /** The right answer to the question, as it goes over the wire, for each of some values. */
  frames: readonly { wire: string; value: SettingValue }[];
  /** What of a message carries the value, and nothing else: found without the code that is tried. */
  essence(message: string): string;
}

const MUTATIONS: readonly ((frame: string, random: (below: number) => number) => string)[] = [
  (frame, random) => flip(frame, random(frame.length), 1 << random(8)),
  (frame, random) => drop(frame, random(frame.length)),
  (frame, random) => frame.slice(0, random(frame.length)),
  (frame, random) => frame.slice(1 + random(frame.length)),
  (frame, random) => insert(frame, random(frame.length + 1), String.fromCharCode(random(256))),
  (frame, random) => insert(frame, random(frame.length), frame),
  (frame, random) => flip(flip(frame, random(frame.length), 1 + random(255)), random(frame.length), 1 + random(255)),
];

function flip(frame: string, at: number, bits: number): string {
  return frame.slice(0, at) + String.fromCharCode(frame.charCodeAt(at) ^ bits) + frame.slice(at + 1);
}

function drop(frame: string, at: number): string {
  return frame.slice(0, at) + frame.slice(at + 1);
}

function insert(frame: string, at: number, text: string): string {
  return frame.slice(0, at) + text + frame.slice(at);
}

/** What the profile takes a message for; undefined when it is no answer or no value. */
function readingOf({ profile, parameter, index }: Answers, message: string): SettingValue | undefined {
  const { read } = parameter.codec;
  const said = read?.kind === 'ask' ? read.reply(message) : undefined;
  const dump = read?.kind === 'dump' ? profile.dumps.get(read.dump(index)) : undefined;
  const w = dump?.isReply(message) === true ? dump.value(parameter, index, message) : said?.w;
  const isOthers = said !== undefined && said.index !== null && said.index !== index;
  return w == null || isOthers ? undefined : parameter.taper.decode(w);
}

/**
 * Damaged answers, each through a framer of the profile and the parameter's own reading. A damaged answer may be another whole answer (a digit
 * became another digit; nothing can tell that): then it has to be read as the value for which the unit would have said exactly that. Returns how
 * many were taken for an answer.
 */
export function damaged(answers: Answers, count: number, seed: number): number {
  const { profile, parameter, frames, essence } = answers;
  const random = numbersFrom(seed);
  const speech = new Speech(profile);
  const heard = (wire: string): string[] => speech.framer().push(Buffer.from(wire, 'latin1'), 0);
  const right = new Map<string, SettingValue>();
  for (const { wire, value } of frames)
    for (const message of heard(wire)) {
      const reading = readingOf(answers, message);
      if (reading === undefined) continue;
      assert.equal(reading, value, `${parameter.name}: ${JSON.stringify(wire)}, undamaged`);
      right.set(essence(message), value);
    }
  assert.ok(right.size > 0, `${profile.id}: no undamaged answer for ${parameter.name}`);
  let taken = 0;
  for (let i = 0; i < count; i++) {
    const frame = (frames[random(frames.length)] as (typeof frames)[number]).wire;
    const mutate = MUTATIONS[random(MUTATIONS.length)] as (typeof MUTATIONS)[number];
    const wire = mutate(frame, random);
    for (const message of heard(wire)) {
      const reading = readingOf(answers, message);
      if (reading === undefined) continue;
      taken++;
      assert.equal(reading, right.get(essence(message)), `${profile.id}, ${parameter.name}: ${JSON.stringify(wire)}`);
    }
  }
  return taken;
}
