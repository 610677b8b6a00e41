/** Parameters of units that talk in lines of text: commands, acknowledgements and answers are reversible templates. */
import type { Codec, Mirror, Statement } from './codec.js';
import { absolute, type Decimal, decimalOf, toNumber } from './decimal.js';
import { invalidProfile } from './invalid.js';
import { compileTemplate, type FieldValues, type Template } from './template.js';
import type { AskRead, WireOf } from './wire-schema.js';

export interface AsciiContext {
  /** Name of the axis, where the parameter has one. */
  readonly axis: string | undefined;
  readonly vars: ReadonlyMap<string, number>;
  readonly verifyBy: string;
  /** Decimal places that w can need. */
  readonly wirePlaces: number;
  /** Where the parameter stands in the profile. */
  readonly path: string;
}

/** @throws OutboardError profile.invalid for a template that cannot be reversed or does not carry what it has to */
export function compileAscii(
  wire: WireOf<'ascii'>,
  read: AskRead | undefined,
  { axis, vars, verifyBy, wirePlaces, path }: AsciiContext,
): { codec: Codec; mirror: Mirror } {
  const channel = axis === undefined ? [] : [axis];
  const line = (text: string, fields: string[], key: string, needs: string[]): Template => {
    const template = compileTemplate(text, fields, `${path}.${key}`, vars);
    const has = new Set(template.fields.map((f) => f.name));
    const missing = needs.find((need) => !need.split('|').some((n) => has.has(n)));
    if (missing !== undefined)
      throw invalidProfile(
        `${path}.${key}`,
        `cannot be reversed: it does not carry {${missing.replace('|', '} or {')}}`,
      );
    const narrow = template.fields.find((f) => f.name !== axis && f.places < wirePlaces);
    if (narrow !== undefined)
      throw invalidProfile(
        `${path}.${key}`,
        `{${narrow.name}} shows ${narrow.places} places, the wire needs ${wirePlaces}`,
      );
    return template;
  };
  if (read?.checksum !== undefined) throw invalidProfile(`${path}.read.checksum`, 'is for messages of bytes');
  const tx = line(wire.tx, [...channel, 'w'], 'wire.tx', [...channel, 'w']);
  const txNeg =
    wire.txNeg === undefined
      ? undefined
      : line(wire.txNeg, [...channel, 'w', 'abs'], 'wire.txNeg', [...channel, 'w|abs']);
  const ack =
    wire.ack === undefined ? undefined : line(wire.ack, [...channel, 'w'], 'wire.ack', verifyBy === 'ack' ? ['w'] : []);
  const question = read === undefined ? undefined : line(read.tx, channel, 'read.tx', channel);
  const reply = read === undefined ? undefined : line(read.reply, [...channel, 'w'], 'read.reply', ['w']);

  const values = (index: number | null, w: Decimal | null): FieldValues => {
    const found = new Map<string, Decimal>();
    if (w !== null) found.set('w', w).set('abs', absolute(w));
    if (axis !== undefined && index !== null) found.set(axis, decimalOf(index));
    return found;
  };
  const made = (template: Template, key: string, index: number | null, w: Decimal | null): string => {
    const text = template.format(values(index, w));
    if (text !== undefined) return text;
    const at = index === null ? '' : ` (${axis} = ${index})`;
    throw new RangeError(`${path}.${key}: "${template.text}" has no room for ${w === null ? '' : toNumber(w)}${at}`);
  };
  const said = (template: Template, text: string): Statement | undefined => {
    const found = template.parse(text);
    if (found === undefined) return undefined;
    const index = axis === undefined ? undefined : found.get(axis);
    return { index: index === undefined ? null : toNumber(index), w: found.get('w') ?? null };
  };
  const heard = (text: string): Statement | undefined => {
    const negative = txNeg?.parse(text);
    if (negative !== undefined) {
      const magnitude = absolute((negative.get('w') ?? negative.get('abs')) as Decimal);
      const index = axis === undefined ? null : toNumber(negative.get(axis) as Decimal);
      return { index, w: { digits: -magnitude.digits, places: magnitude.places } };
    }
    const positive = said(tx, text);
    // With a command of its own for values below 0, the other one does not carry them.
    return positive?.w != null && txNeg !== undefined && positive.w.digits < 0n ? undefined : positive;
  };

  const codec: Codec = {
    set(index, w) {
      const negative = w.digits < 0n && txNeg !== undefined;
      return [made(negative ? txNeg : tx, negative ? 'wire.txNeg' : 'wire.tx', index, w)];
    },
    ...(ack === undefined ? {} : { ack: (frame: string) => said(ack, frame) }),
    ...(question === undefined || reply === undefined
      ? {}
      : {
          read: {
            kind: 'ask' as const,
            tx: (index: number | null) => made(question, 'read.tx', index, null),
            reply: (frame: string) => said(reply, frame),
          },
        }),
  };
  const mirror: Mirror = {
    claims: () => [],
    heard(frame) {
      const statement = heard(frame);
      return statement === undefined ? [] : [statement];
    },
    ...(question === undefined ? {} : { asked: (frame: string) => said(question, frame) }),
    ...(ack === undefined ? {} : { ack: (index: number | null, w: Decimal) => made(ack, 'wire.ack', index, w) }),
    ...(reply === undefined
      ? {}
      : { reply: (index: number | null, w: Decimal) => made(reply, 'read.reply', index, w) }),
  };
  return { codec, mirror };
}
