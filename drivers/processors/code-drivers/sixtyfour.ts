/**
 * The CM Labs SixtyFour, a 32 x 32 analog matrix with levels (raw MIDI messages on RS-232, 38 400 baud, 8N1, or on MIDI). It is told what to do
 * in steps: a mode, a source, then what happens to it. All steps of one setting are one transaction that nothing may come between.
 *
 * Source: owner's manual, MIDI/RS232 implementation chart, ROM 1.31. That the unit answers a read with the message that would set the value is
 * inferred from the chart's "Tx" column.
 */
import type { Codec, Statement } from '../codec.js';
import { type Decimal, decimalOf, toNumber } from '../decimal.js';
import { MidiFramer } from '../midi-framer.js';
import type { CodeDriver, DriverCells, DriverParameter, DriverSimulation } from './code-driver.js';

const CHANNELS = 32;
const MAX_LEVEL = 106;
/** A message is three bytes: nothing that is longer is for us. */
const LONGEST = 3;

/** Controllers above the 64 that are levels. */
const MODE = 0x60;
const LOCK = 0x61;
const SELECT = 0x62;
const OFF = 0x63;
const ON = 0x64;
const READ_DESTINATION = 0x66;
const READ_SOURCE_LEVEL = 0x6b;
const READ_DESTINATION_LEVEL = 0x6c;
const DESTINATION_LEVEL = 0x20;
const STATUS_READ = 0x7e;
const CURRENT_PATCH = 0x71;

const UNLOCK = 0x00;
const ROUTE_MODE = 0x02;
const LEVEL_MODE = 0x03;

interface Message {
  controller: number;
  value: number;
}

type Parse = (frame: string) => Message | undefined;

/** On another channel than the unit's nothing is said to it or by it. */
function parser(channel: number): Parse {
  return (frame) =>
    frame.length === LONGEST && frame.charCodeAt(0) === (0xb0 | (channel - 1))
      ? { controller: frame.charCodeAt(1), value: frame.charCodeAt(2) }
      : undefined;
}

function level(w: number): Decimal | null {
  return w <= MAX_LEVEL ? decimalOf(w) : null;
}

/** @param channel MIDI channel of the unit, 1..16 */
export function sixtyFour(channel: number): CodeDriver {
  const say = (controller: number, value: number): string =>
    String.fromCharCode(0xb0 | (channel - 1), controller, value);
  const parsed = parser(channel);

  // The matrix may add sources: what is not wanted is switched off first, so that the setting says all there is about a destination.
  const route: Codec = {
    set(index, w) {
      const [destination, source] = [(index ?? 1) - 1, toNumber(w) - 1];
      const others = Array.from({ length: CHANNELS }, (_, i) => i).filter((i) => i !== source);
      return [
        say(MODE, UNLOCK),
        say(MODE, ROUTE_MODE),
        ...others.flatMap((other) => [say(SELECT, other), say(OFF, destination)]),
        ...(source < 0 ? [] : [say(SELECT, source), say(ON, destination)]),
      ];
    },
    read: {
      kind: 'ask',
      tx: (index) => say(READ_DESTINATION, (index ?? 1) - 1),
      reply(frame): Statement | undefined {
        const message = parsed(frame);
        // A destination that hears nothing is told by the message that would bring it there.
        if (message?.controller === OFF && message.value < CHANNELS)
          return { index: message.value + 1, w: decimalOf(0) };
        if (message?.controller !== SELECT || message.value >= CHANNELS) return undefined;
        return { index: null, w: decimalOf(message.value + 1) };
      },
    },
  };

  function levels(first: number, read: number): Codec {
    return {
      set: (index, w) => [say(MODE, UNLOCK), say(MODE, LEVEL_MODE), say(first + (index ?? 1) - 1, toNumber(w))],
      read: {
        kind: 'ask',
        tx: (index) => say(read, (index ?? 1) - 1),
        reply(frame): Statement | undefined {
          const message = parsed(frame);
          if (message === undefined || message.controller < first || message.controller >= first + CHANNELS)
            return undefined;
          const w = level(message.value);
          return w === null ? undefined : { index: message.controller - first + 1, w };
        },
      },
    };
  }

  const axis = { from: 1, to: CHANNELS };
  const parameters = new Map<string, DriverParameter>([
    ['route', { min: 0, max: CHANNELS, axis, codec: route }],
    ['sourceLevel', { min: 0, max: MAX_LEVEL, axis, codec: levels(0, READ_SOURCE_LEVEL) }],
    ['destLevel', { min: 0, max: MAX_LEVEL, axis, codec: levels(DESTINATION_LEVEL, READ_DESTINATION_LEVEL) }],
    ['softLock', { min: 0, max: 1, axis: undefined, codec: { set: (_, w) => [say(MODE, toNumber(w))] } }],
  ]);

  return {
    name: 'sixtyfour',
    framer: (gapMs) => new MidiFramer({ maxBytes: LONGEST, gapMs }),
    parameters,
    error: () => undefined,
    // A patch that is recalled at the unit, and hard locks, are told.
    unsolicited: (frame) => {
      const message = parsed(frame);
      return message?.controller === CURRENT_PATCH || message?.controller === LOCK ? 'local-change' : undefined;
    },
    simulate: () => new Matrix(say, parsed),
  };
}

/** The matrix's side: it is locked and in no mode when its power comes on, and does nothing that its mode does not allow. */
class Matrix implements DriverSimulation {
  readonly #say: (controller: number, value: number) => string;
  readonly #parsed: Parse;
  #locked = true;
  #mode: number | undefined;
  #selected: number | undefined;

  constructor(say: (controller: number, value: number) => string, parsed: Parse) {
    this.#say = say;
    this.#parsed = parsed;
  }

  framer(): MidiFramer {
    return new MidiFramer({ maxBytes: LONGEST, gapMs: 1000 });
  }

  hear(frame: string, cells: DriverCells): string[] {
    const message = this.#parsed(frame);
    if (message === undefined) return [];
    const { controller, value } = message;
    if (controller === MODE) {
      if (value <= 1) this.#locked = value === 1;
      else this.#mode = value;
      if (value <= 1 && cells.has('softLock')) cells.set('softLock', null, decimalOf(value));
    } else if (controller === SELECT) this.#selected = value;
    else if (controller === ON || controller === OFF) this.#switch(value + 1, controller === ON, cells);
    else if (controller === READ_DESTINATION) {
      const source = toNumber(cells.get('route', value + 1));
      return source === 0 ? [this.#say(OFF, value)] : [this.#say(SELECT, source - 1), this.#say(ON, value)];
    } else if (controller === READ_SOURCE_LEVEL)
      return [this.#say(value, toNumber(cells.get('sourceLevel', value + 1)))];
    else if (controller === READ_DESTINATION_LEVEL)
      return [this.#say(DESTINATION_LEVEL + value, toNumber(cells.get('destLevel', value + 1)))];
    else if (controller === LOCK && value === STATUS_READ) return [this.#say(LOCK, 0)];
    else if (controller === LOCK && value === CURRENT_PATCH) return [this.#say(CURRENT_PATCH, 0)];
    else if (controller < 2 * CHANNELS && this.#mode === LEVEL_MODE && !this.#locked && level(value) !== null) {
      const isSource = controller < DESTINATION_LEVEL;
      const index = (isSource ? controller : controller - DESTINATION_LEVEL) + 1;
      cells.set(isSource ? 'sourceLevel' : 'destLevel', index, decimalOf(value));
    }
    return [];
  }

  #switch(destination: number, on: boolean, cells: DriverCells): void {
    if (this.#locked || this.#mode !== ROUTE_MODE || this.#selected === undefined || destination > CHANNELS) return;
    const source = this.#selected + 1;
    if (on) cells.set('route', destination, decimalOf(source));
    else if (toNumber(cells.get('route', destination)) === source) cells.set('route', destination, decimalOf(0));
  }
}
