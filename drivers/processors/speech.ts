/** Who speaks for a profile: its own data, or the code driver that it names. */

import { type CodeDriver, codeDriver } from './code-drivers/index.js';
import { type Framer, LineFramer } from './framer.js';
import { MidiFramer } from './midi-framer.js';
import type { Profile } from './profile.js';
import type { ErrorMeaning } from './profile-schema.js';

export class Speech {
  readonly #profile: Profile;
  readonly #driver: CodeDriver | undefined;

  /** @throws Error for a driver that does not exist; a loaded profile has been checked for that */
  constructor(profile: Profile) {
    this.#profile = profile;
    const { driver, vars, id } = profile;
    this.#driver = driver === undefined ? undefined : codeDriver(driver, Object.fromEntries(vars));
    if (driver !== undefined && this.#driver === undefined)
      throw new Error(`the profile ${id} names the code driver ${driver}, which does not exist`);
  }

  /** Of what the unit sends. */
  framer(): Framer {
    const { kind, rxEnd, rxMax, rxGapMs } = this.#profile.framing;
    if (this.#driver !== undefined) return this.#driver.framer(rxGapMs);
    if (kind === 'midi') return new MidiFramer({ maxBytes: rxMax, gapMs: rxGapMs });
    return new LineFramer({ end: rxEnd, maxBytes: rxMax, gapMs: rxGapMs });
  }

  /** What a frame means that reports an error; undefined when it reports none. */
  error(frame: string): ErrorMeaning | undefined {
    return this.#profile.errors.find(({ rx }) => rx.test(frame))?.as ?? this.#driver?.error(frame);
  }

  /** What a frame means that the unit says unasked; undefined when it is nothing known. */
  unsolicited(frame: string): 'reboot' | 'local-change' | undefined {
    return this.#profile.unsolicited.find(({ rx }) => rx.test(frame))?.means ?? this.#driver?.unsolicited(frame);
  }
}
