/** Parameters that are set by a system exclusive of their own, and the questions and answers of MIDI units. */
import { type ByteTemplate, checkMidiMessage, compileBytes, refuseEightBits } from './byte-template.js';
import type { Codec, Mirror, Statement } from './codec.js';
import { type Decimal, decimalOf } from './decimal.js';
import { invalidProfile } from './invalid.js';
import { type IndexSpan, wholeNumber } from './per-index.js';
import type { AskRead, Checksum, WireOf } from './wire-schema.js';

export interface SysexContext {
  readonly axis: IndexSpan | undefined;
  readonly vars: ReadonlyMap<string, number>;
  readonly verifyBy: string;
  readonly path: string;
}

/** @throws OutboardError profile.invalid for a template that cannot be reversed or does not carry what it has to */
export function compileSysex(wire: WireOf<'sysex'>, context: SysexContext): { codec: Codec; mirror: Mirror } {
  const { axis, verifyBy } = context;
  const channel = axis === undefined ? [] : [axis.name];
  const tx = template(wire.bytes, [...channel, 'w'], [...channel, 'w'], wire.checksum, 'wire.bytes', context);
  const ack =
    wire.ack === undefined
      ? undefined
      : template(wire.ack, [...channel, 'w'], verifyBy === 'ack' ? ['w'] : [], wire.checksum, 'wire.ack', context);
  return {
    codec: {
      set: (index, w) => [tx.format(values(axis, index, w, context.path))],
      ...(ack === undefined ? {} : { ack: (frame: string) => said(ack, axis, frame) }),
    },
    mirror: {
      claims: () => [],
      heard(frame) {
        const statement = said(tx, axis, frame);
        return statement === undefined ? [] : [statement];
      },
      ...(ack === undefined
        ? {}
        : { ack: (index: number | null, w: Decimal) => ack.format(values(axis, index, w, context.path)) }),
    },
  };
}

/** How a MIDI unit is asked for one value. @throws OutboardError profile.invalid */
export function compileAsk(
  read: AskRead,
  context: SysexContext,
): { read: NonNullable<Codec['read']>; asked: NonNullable<Mirror['asked']>; reply: NonNullable<Mirror['reply']> } {
  const { axis, path } = context;
  const channel = axis === undefined ? [] : [axis.name];
  const tx = template(read.tx, channel, channel, undefined, 'read.tx', context);
  const reply = template(read.reply, [...channel, 'w'], ['w'], read.checksum, 'read.reply', context);
  return {
    read: {
      kind: 'ask',
      tx: (index) => tx.format(values(axis, index, null, path)),
      reply: (frame) => said(reply, axis, frame),
    },
    asked: (frame) => said(tx, axis, frame),
    reply: (index, w) => reply.format(values(axis, index, w, path)),
  };
}

function template(
  text: string,
  fields: readonly string[],
  needs: readonly string[],
  checksum: Checksum | undefined,
  key: string,
  { vars, path, axis }: SysexContext,
): ByteTemplate {
  const at = `${path}.${key}`;
  refuseEightBits(text, at);
  // An acknowledgement need not carry the checksum that the command has.
  const sum = key === 'wire.ack' && !text.includes('{sum') ? undefined : checksum;
  const compiled = compileBytes(text, { fields, vars, checksum: sum }, at);
  const missing = needs.find((name) => !compiled.names.has(name));
  if (missing !== undefined) throw invalidProfile(at, `cannot be reversed: it does not carry {${missing}}`);
  const sample = new Map(fields.map((name) => [name, name === 'w' ? smallest(compiled) : (axis?.from ?? 0)]));
  checkMidiMessage(attempt(compiled, sample, at), at);
  return compiled;
}

/** A w that fits, for trying the shape of the message. */
function smallest(compiled: ByteTemplate): number {
  for (let w = 0; w < 128; w++)
    try {
      compiled.format(new Map([...compiled.names].map((name) => [name, name === 'w' ? w : 1])));
      return w;
    } catch {
      // The next one, perhaps.
    }
  return 0;
}

function attempt(compiled: ByteTemplate, sample: ReadonlyMap<string, number>, at: string): string {
  try {
    return compiled.format(sample);
  } catch (error) {
    throw invalidProfile(at, error instanceof Error ? error.message.replace(/^[^ ]+: /, '') : String(error), error);
  }
}

function values(
  axis: IndexSpan | undefined,
  index: number | null,
  w: Decimal | null,
  path: string,
): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  if (w !== null) found.set('w', wholeNumber(w, 53, `${path}.wire`));
  if (axis !== undefined && index !== null) found.set(axis.name, index);
  return found;
}

function said(compiled: ByteTemplate, axis: IndexSpan | undefined, frame: string): Statement | undefined {
  const found = compiled.parse(frame);
  if (found === undefined) return undefined;
  const [index, w] = [axis === undefined ? undefined : found.values.get(axis.name), found.values.get('w')];
  return { index: index ?? null, w: w === undefined ? null : decimalOf(w) };
}
