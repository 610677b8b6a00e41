/**
 * The file that a card's processes share, seen from the test: card.h has the same fields in the same order, 8 bytes each.
 *
 * The plugin maps it; we read and write it at its offsets, which the page cache shows to both at once.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

export const CARD_LAYOUT = 3;
export const MAX_SUBDEVICES = 8;
export const MAX_RATES = 16;
export const MAX_POLY = 8;
const MAX_FORMATS = 4;
const FAULT_SLOTS = 16;
const FAULT_FIELDS = 3;
const RUN_SLOTS = 8;

/** Offsets in fields. */
const FIELDS = place([
  ['layout', 1],
  ['index', 1],
  ['subdevices', 1],
  ['channels', 2],
  ['rateCount', 1],
  ['rates', MAX_RATES],
  ['formatCount', 1],
  ['formats', MAX_FORMATS],
  ['historyFrames', 1],
  ['delayFrames', 1],
  ['analog', 1],
  ['polyCount', 1],
  ['gain', 1],
  ['noiseRms', 1],
  ['crosstalk', 1],
  ['poly', MAX_POLY],
  ['generation', 1],
  ['gone', 1],
  ['busy', 1],
  ['denied', 1],
  ['dying', 1],
  ['thief', 1],
  ['startSkewFrames', 1],
  ['stallVersion', 1],
  ['stallTotalNs', 1],
  ['stallFromNs', 1],
  ['stallUntilNs', 1],
  ['cables', 0],
]);

const STREAM = place([
  ['running', 1],
  ['epoch', 1],
  ['edgeFrame', 1],
  ['startFrame', 1],
  ['startedNs', 1],
  ['position', 1],
  ['xruns', 1],
  ['process', 1],
  ['owner', 1],
  ['injectedAt', 1],
  ['faultsTaken', 1],
  ['faultsMade', 1],
  ['faults', FAULT_FIELDS * FAULT_SLOTS],
  ['end', 0],
]);

/** epoch, epoch_ns, rate, history_end, run_count, and the runs of six fields. */
const CABLE_HEAD = 5 + 6 * RUN_SLOTS;
const CABLE_FIELDS = CABLE_HEAD + 2 * STREAM.end;

export const CARD_BYTES = 8 * (FIELDS.cables + MAX_SUBDEVICES * CABLE_FIELDS);

export type CardField = Exclude<keyof typeof FIELDS, 'cables'>;
export type StreamField = Exclude<keyof typeof STREAM, 'faults' | 'end'>;

export const PLAYBACK = 0;
export const CAPTURE = 1;
export type Direction = typeof PLAYBACK | typeof CAPTURE;

const FAULT_KINDS = { xrun: 1, drop: 2, repeat: 3 };

export class CardFile {
  readonly #fd: number;

  /** Makes the file, all zero. */
  constructor(path: string) {
    this.#fd = openSync(path, 'wx+', 0o600);
    writeSync(this.#fd, Buffer.alloc(CARD_BYTES));
  }

  get(field: CardField): bigint {
    return this.#read(FIELDS[field]);
  }

  set(field: CardField, ...values: (bigint | number)[]): void {
    for (const [i, value] of values.entries()) this.#write(FIELDS[field] + i, BigInt(value));
  }

  setReal(field: 'gain' | 'noiseRms' | 'crosstalk' | 'poly', ...values: number[]): void {
    const bytes = Buffer.from(Float64Array.from(values).buffer);
    writeSync(this.#fd, bytes, 0, bytes.length, 8 * FIELDS[field]);
  }

  getStream(subdevice: number, direction: Direction, field: StreamField): bigint {
    return this.#read(streamAt(subdevice, direction) + STREAM[field]);
  }

  setStream(subdevice: number, direction: Direction, field: StreamField, value: bigint | number): void {
    this.#write(streamAt(subdevice, direction) + STREAM[field], BigInt(value));
  }

  /** Queues a fault; the plugin takes it when it next looks at the stream. */
  addFault(
    subdevice: number,
    direction: Direction,
    fault: { kind: keyof typeof FAULT_KINDS; frames: number; at: number },
  ): void {
    const made = this.getStream(subdevice, direction, 'faultsMade');
    if (made - this.getStream(subdevice, direction, 'faultsTaken') >= BigInt(FAULT_SLOTS)) {
      throw new RangeError(`more than ${FAULT_SLOTS} faults wait for the stream`);
    }
    const slot = streamAt(subdevice, direction) + STREAM.faults + FAULT_FIELDS * (Number(made) % FAULT_SLOTS);
    for (const [i, value] of [FAULT_KINDS[fault.kind], fault.frames, fault.at].entries()) {
      this.#write(slot + i, BigInt(value));
    }
    this.setStream(subdevice, direction, 'faultsMade', made + 1n);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(index: number): bigint {
    const bytes = Buffer.alloc(8);
    readSync(this.#fd, bytes, 0, 8, 8 * index);
    return bytes.readBigInt64LE();
  }

  #write(index: number, value: bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    writeSync(this.#fd, bytes, 0, 8, 8 * index);
  }
}

function streamAt(subdevice: number, direction: Direction): number {
  return FIELDS.cables + subdevice * CABLE_FIELDS + CABLE_HEAD + direction * STREAM.end;
}

function place<Name extends string>(fields: readonly (readonly [Name, number])[]): Record<Name, number> {
  const offsets = {} as Record<Name, number>;
  let at = 0;
  for (const [name, count] of fields) {
    offsets[name] = at;
    at += count;
  }
  return offsets;
}
