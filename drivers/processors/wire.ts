/** From the wire, read and verify of a parameter in a profile to its codec, whatever the encoding. */
import type { SettingValue } from '../../core/contract/primitives.js';
import type { CodeDriver } from './code-drivers/index.js';
import type { Codec, DumpPlace, Mirror, Statement } from './codec.js';
import { compileAscii } from './codec-ascii.js';
import { compileBitsWire } from './codec-bits.js';
import { compileController } from './codec-controller.js';
import { compileAsk, compileSysex } from './codec-sysex.js';
import { type Decimal, decimalOf, normal, toNumber } from './decimal.js';
import { type CompiledDump, compileBits } from './dump.js';
import type { FramingKind } from './frame-text.js';
import { invalidProfile } from './invalid.js';
import type { IndexSpan } from './per-index.js';
import type { Param } from './profile-schema.js';
import { meaningsOf, type Taper } from './taper.js';
import type { Dump, Read, Wire } from './wire-schema.js';

export interface WireContext {
  readonly vars: ReadonlyMap<string, number>;
  readonly framing: FramingKind;
  readonly dumps: ReadonlyMap<string, CompiledDump>;
  /** The dumps as the profile declares them. */
  readonly declared: Readonly<Record<string, Dump>>;
  readonly driver: CodeDriver | undefined;
}

export interface CompiledWire {
  readonly codec: Codec;
  readonly mirror: Mirror;
  readonly place?: DumpPlace | undefined;
}

const ENCODINGS: Readonly<Record<FramingKind, readonly Wire['enc'][]>> = {
  line: ['ascii'],
  midi: ['cc7', 'cc14', 'nrpn', 'sysex', 'bits'],
  driver: ['driver'],
};

/** @throws OutboardError profile.invalid */
export function compileWire(
  param: Param,
  axis: IndexSpan | undefined,
  taper: Taper,
  context: WireContext,
  path: string,
): CompiledWire {
  const { wire, read } = param;
  const { framing } = context;
  if (!ENCODINGS[framing].includes(wire.enc))
    throw invalidProfile(
      `${path}.wire.enc`,
      `with the framing ${framing} a parameter is ${ENCODINGS[framing].join(', ')}, not ${wire.enc}`,
    );
  const inDump = read !== undefined && 'dump' in read ? read : undefined;
  const asked = read !== undefined && 'tx' in read ? read : undefined;
  const rename = renaming(param, taper, path);
  if (wire.enc === 'driver') return driven(param, wire.name, axis, taper, context.driver, path);
  const common = { axis, vars: context.vars, verifyBy: param.verify.by, path };
  if (wire.enc === 'ascii') {
    if (inDump !== undefined) throw invalidProfile(`${path}.read.dump`, 'a unit that talks in lines has no dumps');
    const ascii = compileAscii(wire, asked, { ...common, axis: axis?.name, wirePlaces: taper.wirePlaces });
    return renamed(ascii, rename);
  }
  if (taper.wirePlaces > 0) throw invalidProfile(`${path}.taper`, 'w has to be a whole number on this wire');
  if (wire.enc === 'bits') {
    if (read !== undefined) throw invalidProfile(`${path}.read`, 'bits are read from the dump that wire names');
    return compileBitsWire(wire, { ...common, dumps: context.dumps, declared: context.declared });
  }
  const set = wire.enc === 'sysex' ? compileSysex(wire, common) : compileController(wire, common);
  if (asked !== undefined) {
    const { read: ask, asked: heard, reply } = compileAsk(asked, common);
    return renamed({ codec: { ...set.codec, read: ask }, mirror: { ...set.mirror, asked: heard, reply } }, rename);
  }
  if (inDump === undefined) return set;
  return inDumpToo(set, inDump, axis, context.declared, rename, path);
}

/** A parameter that is set by a message of its own and read from a dump. */
function inDumpToo(
  { codec, mirror }: CompiledWire,
  { dump, map: _, ...part }: Extract<Read, { dump: string }>,
  axis: IndexSpan | undefined,
  declared: Readonly<Record<string, Dump>>,
  rename: Renaming | undefined,
  path: string,
): CompiledWire {
  const found = Object.hasOwn(declared, dump) ? declared[dump] : undefined;
  if (found === undefined) throw invalidProfile(`${path}.read.dump`, `"${dump}" is not in dumps`);
  const place = compileBits([part], { dump, axis, dumpAxis: found.axis, path: `${path}.read` });
  return {
    codec: { ...codec, read: { kind: 'dump', dump: (index) => place.dump(index) } },
    mirror: { ...mirror, claims: (index) => [...mirror.claims(index), ...place.claims(index)] },
    place:
      rename === undefined
        ? place
        : {
            dump: (index) => place.dump(index),
            value(index, bytes) {
              const w = place.value(index, bytes);
              return w === undefined ? undefined : rename.fromAnswer(w);
            },
            put: (index, w, bytes) => place.put(index, rename.toAnswer(w), bytes),
          },
  };
}

/** Between the numbers of a command and those of an answer, where they differ. */
interface Renaming {
  toAnswer(w: Decimal): Decimal;
  /** A number that no value has becomes one that no command has. */
  fromAnswer(w: Decimal): Decimal;
}

function renaming({ kind, read }: Param, taper: Taper, path: string): Renaming | undefined {
  if (read?.map === undefined) return undefined;
  const at = `${path}.read.map`;
  if (kind !== 'bool' && kind !== 'enum') throw invalidProfile(at, `is for a bool or an enum, not for a ${kind}`);
  const meanings = meaningsOf(kind, read.map, at);
  const values = taper.sample(1);
  const strange = meanings.find(({ value }) => !values.includes(value));
  const missing = values.find((value) => !meanings.some((meaning) => meaning.value === value));
  if (strange !== undefined || missing !== undefined)
    throw invalidProfile(at, `names other values than the taper: ${String(strange?.value ?? missing)}`);
  return {
    toAnswer(w) {
      const value = taper.decode(w);
      const meaning = meanings.find((m) => m.value === value);
      if (meaning === undefined) throw new RangeError(`${at}: w = ${toNumber(w)} has no value`);
      return decimalOf(meaning.from);
    },
    fromAnswer(w) {
      const number = normal(w).places === 0 ? toNumber(w) : Number.NaN;
      const meaning = meanings.find(({ from, to }) => number >= from && number <= to);
      return meaning === undefined ? UNKNOWN : (taper.encode(meaning.value as SettingValue) as Decimal);
    },
  };
}

/** On no wire: a number of an answer that stands for no value has to fail where values are judged, not where messages are told apart. */
const UNKNOWN = decimalOf(-1e15);

function renamed(compiled: CompiledWire, rename: Renaming | undefined): CompiledWire {
  const { codec, mirror } = compiled;
  if (rename === undefined || codec.read?.kind !== 'ask' || mirror.reply === undefined) return compiled;
  const { tx, reply } = codec.read;
  const said = mirror.reply;
  return {
    ...compiled,
    codec: {
      ...codec,
      read: {
        kind: 'ask',
        tx,
        reply(frame): Statement | undefined {
          const statement = reply(frame);
          return statement?.w == null ? statement : { ...statement, w: rename.fromAnswer(statement.w) };
        },
      },
    },
    mirror: { ...mirror, reply: (index, w) => said(index, rename.toAnswer(w)) },
  };
}

function driven(
  param: Param,
  name: string,
  axis: IndexSpan | undefined,
  taper: Taper,
  driver: CodeDriver | undefined,
  path: string,
): CompiledWire {
  const spoken = driver?.parameters.get(name);
  if (spoken === undefined) {
    const known = [...(driver?.parameters.keys() ?? [])].join(', ');
    throw invalidProfile(`${path}.wire.name`, `the code driver has no parameter "${name}"; it has ${known}`);
  }
  if (param.read !== undefined) throw invalidProfile(`${path}.read`, 'the code driver knows how it is read');
  if (spoken.axis?.from !== axis?.from || (axis !== undefined && (spoken.axis?.to ?? 0) < axis.to))
    throw invalidProfile(
      `${path}.axis`,
      spoken.axis === undefined
        ? 'the code driver has no axis for it'
        : `the code driver has ${spoken.axis.from} to ${spoken.axis.to}`,
    );
  for (const value of taper.sample(65_536)) {
    const w = toNumber(taper.encode(value) as Decimal);
    if (!Number.isInteger(w) || w < spoken.min || w > spoken.max)
      throw invalidProfile(
        `${path}.taper`,
        `${String(value)} is w = ${w}; the code driver takes ${spoken.min} to ${spoken.max}`,
      );
  }
  return {
    codec: { ...spoken.codec, driver: name },
    mirror: { claims: (index) => [`${name}${index === null ? '' : ` ${index}`} of the code driver`], heard: () => [] },
  };
}
