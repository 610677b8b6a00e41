/** What the rig sees of one processor, whatever the wire behind it is. */
import type { RecalledSetting } from '../../core/contract/event.js';
import type { Settings } from '../../core/contract/primitives.js';
import type { OutboardError } from '../../core/errors.js';
import type { Profile } from './profile.js';

/**
 * absent: nothing to open (or not started) · opening · identifying: asked who it is · ready · busy: a command is in flight ·
 * lost: the link went away, opened again after a back-off · refused: another unit answers on this port.
 */
export type UnitState = 'absent' | 'opening' | 'identifying' | 'ready' | 'busy' | 'lost' | 'refused';

/** Something that the unit said unasked. It voids what was verified before. */
export interface LocalChange {
  means: 'reboot' | 'local-change';
  /** The line as it came, latin1. */
  line: string;
}

export interface ProcessorUnit {
  readonly name: string;
  readonly profile: Profile;
  readonly state: UnitState;
  /** The last thing that went wrong; stays after the state is good again. */
  readonly lastFault: OutboardError | undefined;
  /**
   * What the unit said of itself when it was identified on this link: the named groups of the profile's patterns (part, firmware …).
   * Undefined while there is no link.
   */
  readonly identity: Readonly<Record<string, string>> | undefined;
  /** Milliseconds from the first byte to the last read-back of the last recall that succeeded; without the settling. */
  readonly lastWireMs: number;
  /**
   * Begins to open, identify and, after a loss, open again; resolves with the outcome of the first try, good or bad (see `state`).
   * Aborting the signal is `stop()`.
   */
  start(signal: AbortSignal): Promise<void>;
  /** Closes the wire; a command in flight fails with processor.lost. */
  stop(): Promise<void>;
  /**
   * Asks again who is there.
   *
   * @param limitMs as for `readBack`
   * @throws OutboardError processor.identity when it is another unit by now: it is refused then | processor.lost | processor.timeout
   */
  identify(limitMs?: number): Promise<Readonly<Record<string, string>>>;
  /**
   * Sets what is named, in the profile's order, with its interlocks and in its steps, reads it back and lets it settle. What is not named
   * stays as it is, or is put back.
   *
   * @param signal ends it behind the command that is in flight, whatever it waits for: some settings are as named then, the others as they were, and
   * what an interlock holds stays held
   * @throws OutboardError job.setting before anything is sent | processor.lost | processor.timeout | processor.reply |
   *   processor.identity | processor.unverified; the signal's reason
   */
  recall(settings: Settings, signal?: AbortSignal): Promise<RecalledSetting[]>;
  /**
   * Asks for the present values and sets nothing. `verified` means: read back, equal to what is named (within the profile's tolWire)
   * and nobody touched the unit since the last recall. A difference is reported, not thrown.
   *
   * @param limitMs with all its retries the unit has no longer than this, and is lost then: for whoever has to know soon. A unit that is slow has
   * three times the longest that one of its answers took in the last recall. Time in which this process stood still does not count.
   */
  readBack(settings: Settings, limitMs?: number): Promise<RecalledSetting[]>;
  /**
   * Applies the profile's safe state, in its order and at once, verified like a recall as far as it can be read back. What one setting refuses
   * does not keep the others from theirs; the first error is thrown.
   *
   * @param signal ends it behind the command that is in flight: some settings are safe then, the others as they were. Without one it has to be
   * reached: recalls of this unit that are under way are given up for it (processor.unverified)
   * @throws OutboardError as those of `recall`; the signal's reason
   */
  safe(signal?: AbortSignal): Promise<RecalledSetting[]>;
  /**
   * Gives the front panel to people, or takes it back, where the profile knows how. Whenever the link is opened the rig has it.
   *
   * @throws OutboardError processor.*
   */
  panel(to: 'people' | 'rig'): Promise<void>;
  /** Returns the function that removes the listener. */
  onLocalChange(listener: (change: LocalChange) => void): () => void;
  /** Called after every change of `state`. Returns the function that removes the listener. */
  onState(listener: (state: UnitState) => void): () => void;
}
