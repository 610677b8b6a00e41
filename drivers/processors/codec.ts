/**
 * What a parameter is on the wire. The unit sets and reads through `Codec` and never sees an encoding; the simulated unit, the checks and whoever
 * wants to know what an answer will look like use `Mirror`, the same knowledge seen from the other end. All messages are frames: latin1, one character for each byte.
 */
import type { Decimal } from './decimal.js';

/** What a message says: which channel (null: it does not name it) and which number (null: likewise). */
export interface Statement {
  readonly index: number | null;
  readonly w: Decimal | null;
  /** The unit says that it is not there yet. */
  readonly pending?: true;
}

export interface Codec {
  /**
   * The messages that set w, in order. `dump` is the freshest answer to the dump that `modifies` names; it gives the bits beside those of this
   * parameter.
   *
   * @throws RangeError for a number that the wire cannot carry, and when the dump is missing: both are faults of ours; an Error for a
   *   parameter of a code driver
   */
  set(index: number | null, w: Decimal, dump?: string): string[];
  /** The name of the dump that `set` needs, fresh, because its bytes hold other settings too. Absent: it needs none. */
  modifies?(index: number | null): string;
  /** Judges a frame as the acknowledgement of a set; undefined: it is none. Absent: the unit gives none. */
  ack?(frame: string): Statement | undefined;
  /** How the present value is asked for. Absent: it cannot be, or the code driver knows. */
  readonly read?:
    | {
        readonly kind: 'ask';
        tx(index: number | null): string;
        reply(frame: string): Statement | undefined;
        /** Asked before it: as long as this answer is pending, the value is. Absent: the value says that itself. */
        readonly first?: { readonly tx: string; reply(frame: string): Statement | undefined };
      }
    | { readonly kind: 'dump'; dump(index: number | null): string };
  /** The parameter's name in the code driver, which then sets and reads it. */
  readonly driver?: string;
}

/** A message that holds many settings at once. */
export interface DumpCodec {
  readonly name: string;
  /** Asks for it. */
  readonly tx: string;
  /** True for this dump, whole: head, length, checksum and all. */
  isReply(frame: string): boolean;
  /** What it says of a setting; undefined where it says nothing. The taper judges whether the number is a value. */
  value(
    parameter: { readonly place?: DumpPlace | undefined },
    index: number | null,
    frame: string,
  ): Decimal | undefined;
}

/** Where a parameter stands in a dump. */
export interface DumpPlace {
  /** The dump in which the parameter stands for this index. */
  dump(index: number | null): string;
  /** The number, from the bytes of the body by key or offset; undefined where one is missing. */
  value(index: number | null, bytes: ReadonlyMap<number, number>): Decimal | undefined;
  /** Puts the number into the bytes and leaves the other bits as they are. */
  put(index: number | null, w: Decimal, bytes: Map<number, number>): void;
}

/** What the simulated unit remembers of earlier messages, where one message alone says nothing. */
export interface MidiMemory {
  /** Last value of each controller, by channel x 128 + controller, both from 0. */
  readonly controllers: Map<number, number>;
}

/** The unit's side of the wire. */
export interface Mirror {
  /**
   * What of the wire belongs to this parameter at this index: a controller, a bit of a dump. No two may claim the same. Empty where only the
   * messages themselves can be compared.
   */
  claims(index: number | null): readonly string[];
  /** What a command says; `present` is the number that the unit has now. Empty when it is no command for this parameter. */
  heard(frame: string, memory: MidiMemory, present: (index: number | null) => Decimal): Statement[];
  /** Judges a command as the question for this parameter. */
  asked?(frame: string): Statement | undefined;
  /** What the unit acknowledges with. */
  ack?(index: number | null, w: Decimal): string;
  /** What the unit answers to the question. */
  reply?(index: number | null, w: Decimal): string;
}
