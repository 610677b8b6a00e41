/**
 * Parameters that share their bytes with others: the byte is taken from a fresh dump, its bits are changed, and the whole byte is written.
 * Never from defaults: a low-cut written with stale neighbours could switch phantom power.
 */
import { type ByteTemplate, checkMidiMessage, compileBytes, refuseEightBits } from './byte-template.js';
import type { Codec, Mirror, Statement } from './codec.js';
import type { Decimal } from './decimal.js';
import { type Bits, type CompiledDump, compileBits } from './dump.js';
import { hexOf } from './frame-text.js';
import { invalidProfile } from './invalid.js';
import type { IndexSpan } from './per-index.js';
import type { Dump, WireOf } from './wire-schema.js';

type BitsWire = WireOf<'bits'>;

export interface BitsContext {
  readonly axis: IndexSpan | undefined;
  readonly vars: ReadonlyMap<string, number>;
  readonly dumps: ReadonlyMap<string, CompiledDump>;
  readonly declared: Readonly<Record<string, Dump>>;
  readonly path: string;
}

/** @throws OutboardError profile.invalid */
export function compileBitsWire(
  wire: BitsWire,
  { axis, vars, dumps, declared, path }: BitsContext,
): { codec: Codec; mirror: Mirror; place: Bits } {
  const dump = Object.hasOwn(declared, wire.dump) ? declared[wire.dump] : undefined;
  if (dump === undefined) throw invalidProfile(`${path}.wire.dump`, `"${wire.dump}" is not in dumps`);
  const place = compileBits(wire.parts, { dump: wire.dump, axis, dumpAxis: dump.axis, path: `${path}.wire.parts` });
  const writers = writersOf(wire, axis, vars, path);
  const repeats = writers.length > 1;
  const indices =
    axis === undefined ? [null] : Array.from({ length: axis.to - axis.from + 1 }, (_, i) => axis.from + i);

  function write(index: number | null, bytes: readonly (readonly [number, number])[]): string {
    const values = new Map(axis === undefined || index === null ? [] : [[axis.name, index]]);
    bytes.forEach(([address, byte], i) => {
      values.set(`addr${i}`, address).set(`byte${i}`, byte);
    });
    return (writers[bytes.length - 1] as ByteTemplate).format(values);
  }

  const modifies = (index: number | null): string => place.dump(index);
  const codec: Codec = {
    modifies,
    set(index, w, frame) {
      const bytes = frame === undefined ? undefined : dumps.get(modifies(index))?.bytes(frame);
      if (bytes === undefined)
        throw new RangeError(
          `${path}.wire: needs the dump ${modifies(index)}, not ${frame === undefined ? 'none' : hexOf(frame)}`,
        );
      const addresses = place.addresses(index);
      const missing = addresses.find((address) => !bytes.has(address));
      if (missing !== undefined)
        throw new RangeError(`${path}.wire: the dump ${modifies(index)} does not hold ${missing}`);
      place.put(index, w, bytes);
      const written = addresses.map((address) => [address, bytes.get(address) as number] as const);
      return repeats ? [write(index, written)] : written.map((one) => write(index, [one]));
    },
    read: { kind: 'dump', dump: modifies },
  };
  const mirror: Mirror = {
    claims: (index) => place.claims(index),
    heard(frame, _memory, present) {
      const said = writers.map((writer) => writer.parse(frame)).find((found) => found !== undefined);
      if (said === undefined) return [];
      const named = axis === undefined ? undefined : said.values.get(axis.name);
      const written = new Map<number, number>();
      for (let i = 0; said.values.has(`addr${i}`); i++)
        written.set(said.values.get(`addr${i}`) as number, said.values.get(`byte${i}`) as number);
      return indices
        .filter((index) => named === undefined || named === index)
        .filter((index) => place.addresses(index).some((address) => written.has(address)))
        .map((index) => heardAt(place, index, written, present(index)));
    },
  };
  return { codec, mirror, place };
}

/** What is not written stays as it is. */
function heardAt(place: Bits, index: number | null, written: ReadonlyMap<number, number>, present: Decimal): Statement {
  const bytes = new Map<number, number>();
  place.put(index, present, bytes);
  for (const address of place.addresses(index))
    bytes.set(address, written.get(address) ?? (bytes.get(address) as number));
  return { index, w: place.value(index, bytes) ?? null };
}

/** The message that writes one byte, and where the template repeats itself, those that write two and more at once. */
function writersOf(
  wire: BitsWire,
  axis: IndexSpan | undefined,
  vars: ReadonlyMap<string, number>,
  path: string,
): ByteTemplate[] {
  const at = `${path}.wire.bytes`;
  refuseEightBits(wire.bytes, at);
  const [, head, group, tail] = /^([^[\]]*)\[([^[\]]+)\]([^[\]]*)$/.exec(wire.bytes) ?? [];
  if (group === undefined && /[[\]]/.test(wire.bytes))
    throw invalidProfile(at, '[ ] stands once, around what is repeated');
  const repeat = group ?? wire.bytes;
  for (const name of ['addr', 'byte'])
    if (!new RegExp(`\\{[^}]*\\b${name}\\b[^}]*\\}`).test(repeat))
      throw invalidProfile(at, `cannot be reversed: it does not carry {${name}}`);
  const most = group === undefined ? 1 : wire.parts.length;
  return Array.from({ length: most }, (_, n) => {
    const pieces = Array.from({ length: n + 1 }, (_, i) => repeat.replace(/\b(addr|byte)\b/g, `$1${i}`));
    const fields = pieces.flatMap((_, i) => [`addr${i}`, `byte${i}`]);
    const options = { fields: [...(axis === undefined ? [] : [axis.name]), ...fields], vars, checksum: wire.checksum };
    const writer = compileBytes(`${head ?? ''} ${pieces.join(' ')} ${tail ?? ''}`, options, at);
    const sample = writer.format(new Map([...writer.names].map((name) => [name, name === axis?.name ? axis.from : 0])));
    checkMidiMessage(sample, at);
    return writer;
  });
}
