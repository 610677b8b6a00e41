/** Dumps: messages that hold many settings at once, for reading back and for changing some bits of a byte without touching the others. */
import { type ByteTemplate, checkMidiMessage, compileBytes, refuseEightBits } from './byte-template.js';
import type { DumpCodec, DumpPlace } from './codec.js';
import { decimalOf } from './decimal.js';
import { invalidProfile } from './invalid.js';
import { type IndexSpan, spread, wholeNumber } from './per-index.js';
import type { Dump, DumpPart } from './wire-schema.js';

/** A dump with the unit's side of it. */
export interface CompiledDump extends DumpCodec {
  /** The bytes of the body by key or offset, or undefined for any message that is not this dump, whole. */
  bytes(frame: string): Map<number, number> | undefined;
  /** The message with these bytes; those that are not named are 0. @throws RangeError where they do not fit the body */
  make(bytes: ReadonlyMap<number, number>): string;
}

/** Every dump of a profile by its name; of one that exists for each index, `name@axis=n`. @throws OutboardError profile.invalid */
export function compileDumps(
  dumps: Readonly<Record<string, Dump>>,
  axes: ReadonlyMap<string, IndexSpan>,
  vars: ReadonlyMap<string, number>,
): Map<string, CompiledDump> {
  const compiled = new Map<string, CompiledDump>();
  for (const [name, dump] of Object.entries(dumps)) {
    const path = `dumps.${name}`;
    const axis = dump.axis === undefined ? undefined : axes.get(dump.axis);
    if (dump.axis !== undefined && axis === undefined)
      throw invalidProfile(`${path}.axis`, `"${dump.axis}" is not in axes`);
    const indices = axis === undefined ? [null] : [...spread(0, axis, path).keys()];
    for (const index of indices) {
      const known = axis === undefined || index === null ? vars : new Map([...vars, [axis.name, index]]);
      const full = dumpName(name, axis, index);
      compiled.set(full, compileDump(full, dump, known, path));
    }
  }
  return compiled;
}

export function dumpName(name: string, axis: IndexSpan | undefined, index: number | null): string {
  return axis === undefined ? name : `${name}@${axis.name}=${index}`;
}

function compileDump(name: string, dump: Dump, vars: ReadonlyMap<string, number>, path: string): CompiledDump {
  const { keyBytes } = dump.body;
  const [least, most] = typeof dump.body.bytes === 'number' ? [dump.body.bytes, dump.body.bytes] : dump.body.bytes;
  if (least > most) throw invalidProfile(`${path}.body.bytes`, `${least} is above ${most}`);
  const size = keyBytes + 1;
  if (least % size !== 0 || most % size !== 0)
    throw invalidProfile(`${path}.body.bytes`, `is not a whole number of records of ${size} bytes`);
  const tx = compileBytes(dump.tx, { fields: [], vars }, `${path}.tx`).format(new Map());
  checkMidiMessage(tx, `${path}.tx`);
  refuseEightBits(dump.reply, `${path}.reply`);
  const reply: ByteTemplate = compileBytes(
    dump.reply,
    { fields: [], vars, checksum: dump.checksum, body: true },
    `${path}.reply`,
  );

  function bytes(frame: string): Map<number, number> | undefined {
    const body = reply.parse(frame)?.body;
    if (body === undefined || body.length < least || body.length > most || body.length % size !== 0) return undefined;
    const found = new Map<number, number>();
    for (let at = 0; at < body.length; at += size) {
      const byte = body.charCodeAt(at + keyBytes);
      let key = keyBytes === 0 ? at : 0;
      for (let i = 0; i < keyBytes; i++) key = key * 128 + body.charCodeAt(at + i);
      // What says a thing twice says nothing that can be relied on.
      if (byte > 0x7f || found.has(key)) return undefined;
      found.set(key, byte);
    }
    return found;
  }

  return {
    name,
    tx,
    bytes,
    isReply: (frame) => bytes(frame) !== undefined,
    value(parameter, index, frame) {
      const found = bytes(frame);
      return found === undefined ? undefined : parameter.place?.value(index, found);
    },
    make(given) {
      const all = new Map(given);
      for (let key = 0; all.size * size < least; key++) if (!all.has(key)) all.set(key, 0);
      const sorted = [...all].sort(([a], [b]) => a - b);
      if (sorted.length * size > most) throw new RangeError(`${path}: ${sorted.length} bytes do not fit the body`);
      const body = sorted.map(([key, byte]) => String.fromCharCode(...keyOf(key, keyBytes), byte)).join('');
      return reply.format(new Map(), body);
    },
  };
}

function keyOf(key: number, keyBytes: number): number[] {
  return keyBytes === 0 ? [] : keyBytes === 1 ? [key] : [key >> 7, key & 0x7f];
}

/** Where a parameter stands in a dump: its bits, from the lowest to the highest. */
export interface Bits extends DumpPlace {
  /** Keys or offsets of the bytes that hold it. */
  addresses(index: number | null): readonly number[];
  /** Each bit, for finding who shares it. */
  claims(index: number | null): readonly string[];
}

/** @throws OutboardError profile.invalid for bits outside of a byte */
export function compileBits(
  parts: readonly DumpPart[],
  {
    dump,
    axis,
    dumpAxis,
    path,
  }: { dump: string; axis: IndexSpan | undefined; dumpAxis: string | undefined; path: string },
): Bits {
  if (dumpAxis !== undefined && dumpAxis !== axis?.name)
    throw invalidProfile(path, `the dump ${dump} exists for each ${dumpAxis}, the parameter does not`);
  const places = parts.map(({ at, shift = 0, width = 7 }, i) => {
    const where = parts.length === 1 ? path : `${path}.${i}`;
    if (shift + width > 7)
      throw invalidProfile(where, `bits ${shift} to ${shift + width - 1} are not in a byte of seven`);
    return { at: spread(at, axis, `${where}.at`), shift, width };
  });
  const name = (index: number | null): string => dumpName(dump, dumpAxis === undefined ? undefined : axis, index);
  const bits = places.reduce((sum, { width }) => sum + width, 0);
  return {
    dump: name,
    addresses: (index) => [...new Set(places.map(({ at }) => at.get(index) as number))],
    claims: (index) =>
      places.flatMap(({ at, shift, width }) =>
        Array.from({ length: width }, (_, i) => `bit ${shift + i} of ${at.get(index)} in the dump ${name(index)}`),
      ),
    value(index, bytes) {
      let [w, weight] = [0, 1];
      for (const { at, shift, width } of places) {
        const byte = bytes.get(at.get(index) as number);
        if (byte === undefined) return undefined;
        w += ((byte >> shift) % 2 ** width) * weight;
        weight *= 2 ** width;
      }
      return decimalOf(w);
    },
    put(index, w, bytes) {
      let rest = wholeNumber(w, bits, path);
      for (const { at, shift, width } of places) {
        const address = at.get(index) as number;
        const mask = (2 ** width - 1) << shift;
        bytes.set(address, ((bytes.get(address) ?? 0) & ~mask) | ((rest % 2 ** width) << shift));
        rest = Math.floor(rest / 2 ** width);
      }
    },
  };
}
