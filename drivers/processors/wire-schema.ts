/** How a parameter stands on the wire: the encodings of a profile, what reads them back, and the tapers between value and number. */
import { z } from 'zod';
import { FieldName, HexTemplate, PerIndex } from './schema-basics.js';

/** w, or what lies between two: a unit that takes 0 to 63 for "off" is sent the first and understood in all of them. */
const WireNumbers = z.union([z.int(), z.tuple([z.int(), z.int()])]);

export const Taper = z.discriminatedUnion('t', [
  z.strictObject({
    t: z.literal('linear'),
    scale: z.number().optional().meta({ description: 'w = value x scale + offset; 1 when absent' }),
    offset: z.number().optional().meta({ description: '0 when absent' }),
  }),
  z.strictObject({
    t: z.literal('table'),
    interp: z.enum(['linear', 'none']),
    points: z
      .array(z.tuple([z.int(), z.number()]))
      .min(2)
      .meta({ description: '[w, value], w rising' }),
  }),
  z.strictObject({
    t: z.literal('log'),
    wire: z.tuple([z.int(), z.int()]).meta({ description: 'w at min and w at max' }),
  }),
  z.strictObject({ t: z.literal('enum'), map: z.record(z.string().max(64), WireNumbers) }),
]);
export type Taper = z.infer<typeof Taper>;

export const Checksum = z.strictObject({
  kind: z.enum(['sum7', 'sum8', 'xor7', 'xor8', 'roland', 'crc16']).meta({
    description:
      'sum and xor of the bytes, kept to 7 or 8 bits; roland: 128 - sum, kept to 7 bits; crc16: CCITT, from FFFF',
  }),
  from: z.int().min(0).max(512).meta({ description: 'offset of the first byte that counts; the byte F0 is 0' }),
  to: z.int().min(1).max(512).optional().meta({ description: 'offset after the last one; when absent, the checksum' }),
});
export type Checksum = z.infer<typeof Checksum>;

/** Bits of a byte of a dump; `at` is its key or its offset, `shift` counts from the lowest bit. */
export const DumpPart = z.strictObject({
  at: PerIndex,
  shift: z.int().min(0).max(7).optional().meta({ description: '0 when absent' }),
  width: z.int().min(1).max(8).optional().meta({ description: '7 when absent' }),
});
export type DumpPart = z.infer<typeof DumpPart>;

const channel = z
  .union([z.int().min(1).max(16), FieldName])
  .optional()
  .meta({ description: 'MIDI channel 1 to 16, or the variable that has it; the variable ch when absent' });
const checksum = Checksum.optional();

export const Wire = z.discriminatedUnion('enc', [
  z.strictObject({
    enc: z.literal('ascii'),
    tx: z.string(),
    txNeg: z.string().optional().meta({ description: 'for w below 0, where the unit has another command for it' }),
    ack: z.string().optional(),
  }),
  z.strictObject({ enc: z.literal('cc7'), cc: PerIndex, channel }),
  z.strictObject({
    enc: z.literal('cc14'),
    cc: PerIndex.meta({ description: 'controller of the upper seven bits' }),
    lsb: PerIndex.meta({ description: 'controller of the lower seven' }),
    bits: z.int().min(1).max(14).meta({ description: 'how many of the upper bits count: 7 sends the lower byte as 0' }),
    order: z.enum(['msb-lsb', 'lsb-msb']).meta({ description: 'the unit acts on the second' }),
    channel,
  }),
  z.strictObject({
    enc: z.literal('nrpn'),
    msb: PerIndex,
    lsb: PerIndex,
    bits: z.int().min(1).max(14).meta({ description: 'how many of the upper bits count' }),
    sendLsb: z.boolean().optional().meta({ description: 'send the lower byte even where no bit of it counts' }),
    channel,
  }),
  z.strictObject({ enc: z.literal('sysex'), bytes: HexTemplate, checksum, ack: HexTemplate.optional() }),
  z
    .strictObject({
      enc: z.literal('bits'),
      dump: z.string().meta({ description: 'the dump from which the other bits are taken, fresh before every write' }),
      bytes: HexTemplate.meta({
        description: 'writes {byte} at {addr}; what stands in [ ] is repeated for every byte that is touched',
      }),
      parts: z.array(DumpPart).min(1).max(4).meta({ description: 'from the lowest bits of w to the highest' }),
      checksum,
      ack: HexTemplate.optional(),
    })
    .meta({ description: 'some bits of bytes that hold other settings too: read, change, write' }),
  z.strictObject({ enc: z.literal('driver'), name: z.string().min(1).max(32) }),
]);
export type Wire = z.infer<typeof Wire>;
/** The wire of one encoding. */
export type WireOf<E extends Wire['enc']> = Extract<Wire, { enc: E }>;

/** For a set of numbers that differs from the one that sets: label to number in the answer. */
const map = z.record(z.string().max(64), WireNumbers).optional().meta({
  description: 'of a bool or enum: what its values are called in the answer, where that differs from the command',
});

export const Read = z.union([
  z.strictObject({ tx: z.string(), reply: z.string(), checksum, map }),
  z.strictObject({ dump: z.string(), ...DumpPart.shape, map }),
]);
export type Read = z.infer<typeof Read>;
/** A question of its own for one parameter. */
export type AskRead = Extract<Read, { tx: string }>;

export const Dump = z.strictObject({
  axis: FieldName.optional().meta({ description: 'one dump for each index; else one for the whole unit' }),
  tx: HexTemplate.meta({ description: 'asks for it' }),
  reply: HexTemplate.meta({ description: 'the whole message; ... stands for the body' }),
  checksum,
  body: z.strictObject({
    bytes: z.union([z.int().min(1).max(65_536), z.tuple([z.int().min(0), z.int().max(65_536)])]).meta({
      description: 'length of the body: exact, or least and most',
    }),
    keyBytes: z.int().min(0).max(2).meta({
      description: '0: a byte is found by its offset in the body; 1 or 2: records of so many key bytes and one value',
    }),
  }),
});
export type Dump = z.infer<typeof Dump>;
