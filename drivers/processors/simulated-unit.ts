/**
 * The simulated unit: the other end of the wire, made from a profile. It reads commands with the profile's templates, keeps what was set,
 * answers as the profile says, and moves the simulated analog path. It knows nothing of the code that drives it.
 */
import type { SettingValue } from '../../core/contract/primitives.js';
import type { MidiMemory } from './codec.js';
import { compare, type Decimal, decimalOf } from './decimal.js';
import { messageFrame } from './frame-text.js';
import { LineFramer } from './framer.js';
import { indicesOf, type Parameter } from './parameter.js';
import type { PathModifier } from './path-modifier.js';
import type { Profile } from './profile.js';
import type { DriveTarget, ErrorMeaning } from './profile-schema.js';
import type { Message } from './schema-basics.js';
import { settingKey } from './settings.js';

interface Cell {
  readonly key: string;
  readonly parameter: Parameter;
  readonly index: number | null;
  w: Decimal;
}

export class SimulatedUnit {
  readonly profile: Profile;
  readonly #modifier: PathModifier;
  readonly #cells = new Map<string, Cell>();
  readonly #memory: MidiMemory = { controllers: new Map() };
  readonly #framer: LineFramer | undefined;
  /** What came so far of a command that no terminator ends. */
  #begun = '';

  constructor(profile: Profile, modifier: PathModifier) {
    this.profile = profile;
    this.#modifier = modifier;
    const { txEnd, rxMax, rxGapMs } = profile.framing;
    this.#framer = txEnd === '' ? undefined : new LineFramer({ end: txEnd, maxBytes: rxMax, gapMs: rxGapMs });
    for (const parameter of profile.params.values())
      for (const index of indicesOf(parameter)) {
        const key = settingKey(parameter, index);
        this.#cells.set(key, { key, parameter, index, w: powerUp(profile, parameter, key) });
      }
    this.#drive();
  }

  /** Back to what it has when its power comes on. */
  restart(): void {
    for (const cell of this.#cells.values()) cell.w = powerUp(this.profile, cell.parameter, cell.key);
    this.#begun = '';
    this.#framer?.reset();
    this.#drive();
  }

  /** The commands that these bytes complete. `nowMs` is monotonic. */
  hear(bytes: Uint8Array, nowMs: number): string[] {
    if (this.#framer !== undefined) return this.#framer.push(bytes, nowMs);
    const commands: string[] = [];
    for (const character of Buffer.from(bytes).toString('latin1')) {
      this.#begun += character;
      if (this.#means(this.#begun) !== undefined || this.#begun.length > this.profile.framing.rxMax) {
        commands.push(this.#begun);
        this.#begun = '';
      }
    }
    return commands;
  }

  /** Does what a command says. Resolves to the answer, or undefined where the unit gives none. */
  obey(command: string): string | undefined {
    const does = this.#means(command) ?? (() => this.error('unsupported'));
    return does();
  }

  /** What this model says when its power comes on, if it says anything. */
  get banner(): string | undefined {
    return this.#frame(this.profile.document.sim.banner);
  }

  /** The line with which this model reports an error, if it does. */
  error(meaning: ErrorMeaning): string | undefined {
    return this.#frame(this.profile.document.sim.errors[meaning]);
  }

  /** The present value of a setting. @throws RangeError when there is no such setting */
  value(key: string): SettingValue {
    const { parameter, w } = this.#cell(key);
    return parameter.taper.decode(w) as SettingValue;
  }

  /** Turns a knob at the unit itself. Returns the line with which it would acknowledge that. @throws RangeError */
  turn(key: string, value: SettingValue): string | undefined {
    const cell = this.#cell(key);
    const w = cell.parameter.taper.encode(value);
    if (w === undefined) throw new RangeError(`${key}: ${String(value)} is not a position of this unit`);
    cell.w = w;
    this.#drive();
    return cell.parameter.mirror.ack?.(cell.index, w);
  }

  #frame(message: Message | undefined): string | undefined {
    return message === undefined ? undefined : messageFrame(this.profile.framing.kind, message);
  }

  #cell(key: string): Cell {
    const cell = this.#cells.get(key);
    if (cell === undefined) throw new RangeError(`${this.profile.id} has no setting ${key}`);
    return cell;
  }

  #means(command: string): (() => string | undefined) | undefined {
    const { identity, params, document } = this.profile;
    const step = identity.findIndex(({ tx }) => tx === command);
    if (step >= 0) return () => this.#frame(document.sim.identity[step]);
    for (const parameter of params.values()) {
      const question = parameter.mirror.asked?.(command);
      if (question !== undefined)
        return () => {
          const cell = this.#cells.get(settingKey(parameter, question.index));
          return cell === undefined ? this.error('bad-value') : parameter.mirror.reply?.(cell.index, cell.w);
        };
      const present = (index: number | null): Decimal =>
        this.#cells.get(settingKey(parameter, index))?.w ?? decimalOf(0);
      const [said] = parameter.mirror.heard(command, this.#memory, present);
      if (said?.w != null) {
        const { w, index } = { w: said.w, index: said.index };
        return () => this.#set(this.#cells.get(settingKey(parameter, index)), w);
      }
    }
    return undefined;
  }

  #set(cell: Cell | undefined, w: Decimal): string | undefined {
    if (cell === undefined || cell.parameter.taper.decode(w) === undefined) return this.error('bad-value');
    if (compare(cell.w, w) !== 0) {
      cell.w = w;
      this.#drive();
    }
    return cell.parameter.mirror.ack?.(cell.index, w);
  }

  /** Which input each output hears; one that hears none is not in it. */
  #routes(name: string): ReadonlyMap<number, number> {
    const routes = new Map<number, number>();
    for (const { parameter, index, w } of this.#cells.values()) {
      const input = Number(parameter.taper.decode(w));
      if (parameter.name === name && input !== 0) routes.set(index ?? 1, input);
    }
    return routes;
  }

  #drive(): void {
    const sums = new Map<DriveTarget, number>();
    for (const [key, drive] of Object.entries(this.profile.document.sim.drives ?? {})) {
      const { to, scale } = typeof drive === 'string' ? { to: drive, scale: 1 } : drive;
      if (to === 'routes') {
        this.#modifier.routes = this.#routes(key);
        continue;
      }
      sums.set(to, (sums.get(to) ?? 0) + Number(this.value(key)) * scale);
    }
    const [gainDb, muted, delaySeconds] = [sums.get('gainDb'), sums.get('muted'), sums.get('delaySeconds')];
    if (gainDb !== undefined) this.#modifier.gainDb = gainDb;
    if (muted !== undefined) this.#modifier.muted = muted !== 0;
    if (delaySeconds !== undefined) this.#modifier.delaySeconds = delaySeconds;
  }
}

/** A unit whose power comes on is in its safe state, as far as it has one, and else at the bottom of every range. */
function powerUp({ safeState }: Profile, { taper }: Parameter, key: string): Decimal {
  const value = safeState[key] ?? taper.sample(2)[0] ?? 0;
  return taper.encode(value) as Decimal;
}
