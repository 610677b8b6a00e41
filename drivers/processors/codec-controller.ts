/**
 * Parameters that are MIDI controllers: seven bits, a pair of fourteen, or a non-registered parameter number (MIDI 1.0 detailed
 * specification, "Control change"). The upper bits count: a value of `bits` bits is sent at the top of the fourteen.
 */
import type { Codec, MidiMemory, Mirror, Statement } from './codec.js';
import { type Decimal, decimalOf } from './decimal.js';
import { invalidProfile } from './invalid.js';
import { exactInteger, type IndexSpan, spread, wholeNumber } from './per-index.js';
import type { WireOf } from './wire-schema.js';

type ControllerWire = WireOf<'cc7' | 'cc14' | 'nrpn'>;

const DATA_MSB = 6;
const DATA_LSB = 38;
const NRPN_LSB = 98;
const NRPN_MSB = 99;
/** Controllers that belong to whoever uses an NRPN on the channel. */
export const NRPN_CONTROLLERS: readonly number[] = [DATA_MSB, DATA_LSB, NRPN_LSB, NRPN_MSB];

export interface ControllerContext {
  readonly axis: IndexSpan | undefined;
  readonly vars: ReadonlyMap<string, number>;
  readonly path: string;
}

/** @throws OutboardError profile.invalid for a channel or a controller that does not exist */
export function compileController(
  wire: ControllerWire,
  { axis, vars, path }: ControllerContext,
): { codec: Codec; mirror: Mirror } {
  const at = `${path}.wire`;
  const channel = channelOf(wire.channel, vars, at);
  const seven = (key: 'cc' | 'lsb' | 'msb'): ReadonlyMap<number | null, number> => {
    const where = `${at}.${key}`;
    const numbers = spread(wire[key as keyof ControllerWire] as never, axis, where);
    for (const number of numbers.values()) if (number > 127) throw invalidProfile(where, `${number} is above 127`);
    return numbers;
  };
  const change = (controller: number, value: number): string => String.fromCharCode(0xb0 + channel, controller, value);
  const place = (controller: number): string => `controller ${controller} on channel ${channel + 1}`;

  if (wire.enc === 'cc7') {
    const cc = seven('cc');
    return {
      codec: { set: (index, w) => [change(cc.get(index) as number, wholeNumber(w, 7, at))] },
      mirror: {
        claims: (index) => [place(cc.get(index) as number)],
        heard: (frame, memory) => {
          const said = controllerChange(frame, channel, memory);
          return said === undefined ? [] : statements(cc, said.controller, said.value);
        },
      },
    };
  }
  const { bits } = wire;
  const value14 = (w: Decimal): [number, number] => {
    const value = wholeNumber(w, bits, at) * 2 ** (14 - bits);
    return [value >> 7, value & 0x7f];
  };
  const wOf = (upper: number, lower: number): number => ((upper << 7) | lower) >> (14 - bits);

  if (wire.enc === 'cc14') {
    const [cc, lsb] = [seven('cc'), seven('lsb')];
    const upperFirst = wire.order === 'msb-lsb';
    return {
      codec: {
        set(index, w) {
          const [upper, lower] = value14(w);
          const pair = [change(cc.get(index) as number, upper), change(lsb.get(index) as number, lower)];
          return upperFirst ? pair : pair.reverse();
        },
      },
      mirror: {
        claims: (index) => [place(cc.get(index) as number), place(lsb.get(index) as number)],
        heard(frame, memory) {
          const said = controllerChange(frame, channel, memory);
          if (said === undefined) return [];
          const [second, first] = upperFirst ? [lsb, cc] : [cc, lsb];
          return statements(second, said.controller, said.value).map(({ index }) => {
            const other = memory.controllers.get(channel * 128 + (first.get(index) as number)) ?? 0;
            const w = upperFirst ? wOf(other, said.value) : wOf(said.value, other);
            return { index, w: decimalOf(w) };
          });
        },
      },
    };
  }
  const [msb, lsb] = [seven('msb'), seven('lsb')];
  const both = bits > 7 || wire.sendLsb === true;
  return {
    codec: {
      set(index, w) {
        const [upper, lower] = value14(w);
        return [
          change(NRPN_MSB, msb.get(index) as number),
          change(NRPN_LSB, lsb.get(index) as number),
          change(DATA_MSB, upper),
          ...(both ? [change(DATA_LSB, lower)] : []),
        ];
      },
    },
    mirror: {
      claims: (index) => [`NRPN ${msb.get(index)}:${lsb.get(index)} on channel ${channel + 1}`],
      heard(frame, memory) {
        const said = controllerChange(frame, channel, memory);
        if (said?.controller !== (both ? DATA_LSB : DATA_MSB)) return [];
        const last = (controller: number): number => memory.controllers.get(channel * 128 + controller) ?? 0;
        return statements(msb, last(NRPN_MSB), 0)
          .filter(({ index }) => lsb.get(index) === last(NRPN_LSB))
          .map(({ index }) => ({ index, w: decimalOf(wOf(last(DATA_MSB), both ? last(DATA_LSB) : 0)) }));
      },
    },
  };
}

function channelOf(channel: number | string | undefined, vars: ReadonlyMap<string, number>, at: string): number {
  if (typeof channel === 'number') return channel - 1;
  const name = channel ?? 'ch';
  const bound = vars.get(name);
  if (bound === undefined)
    throw invalidProfile(`${at}.channel`, `which MIDI channel? Say a number, or declare the variable ${name}`);
  if (bound < 1 || bound > 16) throw invalidProfile(`${at}.channel`, `${name} is ${bound}; a channel is 1 to 16`);
  return bound - 1;
}

/** What a control change on this channel says; it is remembered for those that need two. */
function controllerChange(
  frame: string,
  channel: number,
  { controllers }: MidiMemory,
): { controller: number; value: number } | undefined {
  if (frame.length !== 3 || frame.charCodeAt(0) !== 0xb0 + channel) return undefined;
  const [controller, value] = [frame.charCodeAt(1), frame.charCodeAt(2)];
  controllers.set(channel * 128 + controller, value);
  return { controller, value };
}

function statements(numbers: ReadonlyMap<number | null, number>, number: number, w: number): Statement[] {
  return [...numbers].flatMap(([index, own]) => (own === number ? [{ index, w: exactInteger(w) }] : []));
}
