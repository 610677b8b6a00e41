/**
 * Reversible templates of bytes: `F0 00 20 0D 68 {16*bank+dev} 20 {3*ch-3} {w} F7` compiles to a formatter and to a strict parser of a whole
 * message.
 *
 * Between spaces stand bytes in hex and fields. A field is a sum of numbers, names and number x name, and carries at most one name that
 * is not known when the profile is loaded. `{w}` is one byte of seven bits; `{w:7x2}` two of them, the upper first; `{w:4x2r}` two of four
 * bits, the lower first. `{sum}` is the checksum, `...` a body of any length.
 */
import { CHECKSUM_BITS, checksumOf } from './checksum.js';
import { hexOf } from './frame-text.js';
import { invalidProfile } from './invalid.js';
import type { Checksum } from './wire-schema.js';

interface Field {
  /** Undefined: a constant. */
  readonly name: string | undefined;
  readonly factor: number;
  readonly offset: number;
  readonly bits: number;
  readonly count: number;
  readonly lowFirst: boolean;
  readonly text: string;
}

type Part = { readonly bytes: string } | { readonly field: Field } | { readonly sum: Field } | { readonly body: true };

export interface ByteTemplate {
  readonly text: string;
  /** Names that the template carries. */
  readonly names: ReadonlySet<string>;
  readonly hasBody: boolean;
  /** @throws RangeError where a value is missing or does not fit its field */
  format(values: ReadonlyMap<string, number>, body?: string): string;
  /** The values of a whole message, or undefined for any message that `format` would not have made. */
  parse(frame: string): { values: Map<string, number>; body: string } | undefined;
}

export interface ByteTemplateOptions {
  /** Names that may stand in fields. */
  readonly fields: readonly string[];
  /** Names whose values are known already. */
  readonly vars: ReadonlyMap<string, number>;
  readonly checksum?: Checksum | undefined;
  /** `...` may stand in it, and has to. */
  readonly body?: boolean;
}

const FIELD = /^([^:]+?)(?::([1-8])x([1-9])(r?))?$/;
const TERM = /^(?:(\d{1,5})\*)?([a-z]+\d?)(?:\*(\d{1,5}))?$/;

/** @throws OutboardError profile.invalid */
export function compileBytes(text: string, options: ByteTemplateOptions, path: string): ByteTemplate {
  const parts = (text.replace(/\s*\+\s*|\s*-\s*/g, (sign) => sign.trim()).match(/\{[^}]*\}|[^\s{]+/g) ?? []).map(
    (token) => partOf(token, options, path),
  );
  if (parts.length === 0) throw invalidProfile(path, 'a template cannot be empty');
  const bodies = parts.filter((part) => 'body' in part).length;
  if (bodies !== (options.body ? 1 : 0))
    throw invalidProfile(path, options.body ? '... has to stand in it once, for the body' : '... is for dumps');
  checkSum(parts, options.checksum, path);
  const names = new Set(
    parts.flatMap((part) => ('field' in part && part.field.name !== undefined ? [part.field.name] : [])),
  );
  const fixed = parts.reduce((sum, part) => sum + lengthOf(part), 0);

  function format(values: ReadonlyMap<string, number>, body = ''): string {
    let [frame, sumAt] = ['', -1];
    for (const part of parts) {
      if ('sum' in part) sumAt = frame.length;
      frame += 'bytes' in part ? part.bytes : 'body' in part ? body : bytesOfField(part, values, path);
    }
    return sumAt < 0 ? frame : withSum(parts, frame, sumAt, options.checksum as Checksum, path);
  }

  return {
    text,
    names,
    hasBody: bodies > 0,
    format,
    parse(frame) {
      const room = frame.length - fixed;
      if (room < 0 || (bodies === 0 && room > 0)) return undefined;
      const values = new Map<string, number>();
      let [at, body] = [0, ''];
      for (const part of parts) {
        const length = 'body' in part ? room : lengthOf(part);
        const piece = frame.slice(at, at + length);
        at += length;
        if ('body' in part) body = piece;
        else if ('field' in part && part.field.name !== undefined) {
          const value = valueOfField(part.field, piece);
          if (value === undefined) return undefined;
          values.set(part.field.name, value);
        }
      }
      // Constants, repeated names and the checksum: only what comes back identical counts.
      try {
        return format(values, body) === frame ? { values, body } : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

function partOf(token: string, { fields, vars }: ByteTemplateOptions, path: string): Part {
  if (token === '...') return { body: true };
  if (/^([0-9A-Fa-f]{2})+$/.test(token)) return { bytes: Buffer.from(token, 'hex').toString('latin1') };
  const match = token.startsWith('{') && token.endsWith('}') ? FIELD.exec(token.slice(1, -1).trim()) : null;
  if (match === null) throw invalidProfile(path, `"${token}" is neither a byte in hex nor a field like {w} or {w:7x2}`);
  const [, sum = '', bits = '7', count = '1', low] = match;
  const shape = { bits: Number(bits), count: Number(count), lowFirst: low === 'r', text: token };
  if (sum === 'sum') return { sum: { ...shape, name: 'sum', factor: 1, offset: 0 } };
  let [name, factor, offset]: [string | undefined, number, number] = [undefined, 0, 0];
  for (const signed of sum.match(/[+-]?[^+-]+/g) ?? []) {
    const sign = signed.startsWith('-') ? -1 : 1;
    const term = signed.replace(/^[+-]/, '').trim();
    if (/^\d{1,5}$/.test(term)) {
      offset += sign * Number(term);
      continue;
    }
    const [, before, known = '', after] = TERM.exec(term) ?? [];
    const times = sign * Number(before ?? 1) * Number(after ?? 1);
    const constant = vars.get(known);
    if (constant !== undefined) offset += times * constant;
    else if (!fields.includes(known)) {
      const usable = [...fields, ...vars.keys()].map((n) => `{${n}}`).join(', ') || 'only bytes';
      throw invalidProfile(path, `"${term}" in ${token} is not known here; use ${usable}`);
    } else if (name !== undefined && name !== known)
      throw invalidProfile(path, `${token} cannot be reversed: it carries both ${name} and ${known}`);
    else [name, factor] = [known, factor + times];
  }
  if (name !== undefined && factor === 0) throw invalidProfile(path, `${token} does not carry ${name}`);
  const field: Field = { ...shape, name, factor, offset };
  if (name !== undefined) return { field };
  // A variable out of reach of its byte is found now, not when the rig speaks.
  try {
    return { bytes: bytesOfField({ field }, new Map(), path) };
  } catch (error) {
    throw invalidProfile(path, error instanceof Error ? error.message : String(error), error);
  }
}

function checkSum(parts: readonly Part[], checksum: Checksum | undefined, path: string): void {
  const sums = parts.filter((part) => 'sum' in part);
  if (sums.length !== (checksum === undefined ? 0 : 1))
    throw invalidProfile(
      path,
      checksum === undefined ? '{sum} needs a checksum beside it' : 'the checksum has to stand in it as {sum}, once',
    );
  const [sum] = sums;
  if (checksum === undefined || sum === undefined || !('sum' in sum)) return;
  const need = CHECKSUM_BITS[checksum.kind];
  if (sum.sum.bits * sum.sum.count < need)
    throw invalidProfile(
      path,
      `${sum.sum.text} holds ${sum.sum.bits * sum.sum.count} bits, ${checksum.kind} has ${need}`,
    );
}

function withSum(
  parts: readonly Part[],
  frame: string,
  at: number,
  { kind, from, to }: Checksum,
  path: string,
): string {
  const end = to ?? at;
  const field = parts.flatMap((part) => ('sum' in part ? [part.sum] : []))[0] as Field;
  const length = field.count;
  if (from >= end || end > frame.length || (from < at + length && end > at))
    throw new RangeError(
      `${path}: the checksum over ${from} to ${end} does not fit a message of ${frame.length} bytes`,
    );
  const sum = checksumOf(kind, frame.slice(from, end));
  return frame.slice(0, at) + bytesOfField({ field }, new Map([['sum', sum]]), path) + frame.slice(at + length);
}

function lengthOf(part: Part): number {
  if ('bytes' in part) return part.bytes.length;
  if ('body' in part) return 0;
  return 'sum' in part ? part.sum.count : part.field.count;
}

function bytesOfField(
  part: { readonly field: Field } | { readonly sum: Field },
  values: ReadonlyMap<string, number>,
  path: string,
): string {
  if ('sum' in part) return '\0'.repeat(part.sum.count);
  const { name, factor, offset, bits, count, lowFirst, text } = part.field;
  const value = name === undefined ? 0 : values.get(name);
  if (value === undefined) throw new RangeError(`${path}: ${text} has no value`);
  const number = factor * value + offset;
  if (!Number.isInteger(number) || number < 0 || number >= 2 ** (bits * count))
    throw new RangeError(`${path}: ${text} has no room for ${number}`);
  const digits = Array.from({ length: count }, (_, i) => Math.floor(number / 2 ** (bits * i)) % 2 ** bits);
  return String.fromCharCode(...(lowFirst ? digits : digits.reverse()));
}

function valueOfField({ factor, offset, bits, count, lowFirst }: Field, piece: string): number | undefined {
  const digits = Array.from(piece, (c) => c.charCodeAt(0));
  if (digits.length !== count || digits.some((digit) => digit >= 2 ** bits)) return undefined;
  const number = (lowFirst ? digits.reverse() : digits).reduce((sum, digit) => sum * 2 ** bits + digit, 0);
  const value = (number - offset) / factor;
  return Number.isInteger(value) ? value : undefined;
}

/** Fields of eight bits are for the first byte of a message only. @throws OutboardError profile.invalid */
export function refuseEightBits(text: string, path: string): void {
  const field = /\{[^}]*:8x\dr?\}/.exec(text)?.[0];
  if (field !== undefined) throw invalidProfile(path, `${field}: inside of a MIDI message a byte has seven bits`);
}

/** A message that begins as a system exclusive does, ends as one does, and holds only data between. @throws OutboardError profile.invalid */
export function checkMidiMessage(frame: string, path: string): void {
  const [first, last] = [frame.charCodeAt(0), frame.charCodeAt(frame.length - 1)];
  const inner = Array.from(frame.slice(1, first === 0xf0 ? -1 : undefined), (c) => c.charCodeAt(0));
  if (first < 0x80 || first === 0xf7 || (first === 0xf0 && last !== 0xf7) || inner.some((byte) => byte > 0x7f))
    throw invalidProfile(path, `${hexOf(frame)} is no MIDI message`);
}
