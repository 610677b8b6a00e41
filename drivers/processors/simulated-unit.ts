/**
 * The simulated unit: the other end of the wire, made from a profile. It reads commands with the profile's own knowledge of its messages, keeps
 * what was set, answers as the profile says, and moves the simulated analog path. It knows nothing of the code that drives it.
 */
import type { SettingValue } from '../../core/contract/primitives.js';
import { codeDriver, type DriverSimulation } from './code-drivers/index.js';
import type { MidiMemory } from './codec.js';
import { compare, type Decimal, decimalOf } from './decimal.js';
import { type Framer, LineFramer } from './framer.js';
import { messageFrame } from './message.js';
import { MidiFramer } from './midi-framer.js';
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
  readonly #framer: Framer | undefined;
  readonly #answers: ReadonlyMap<string, string | undefined>;
  #memory: MidiMemory = { controllers: new Map() };
  #driver: DriverSimulation | undefined;
  /** What came so far of a command that no terminator ends. */
  #begun = '';

  constructor(profile: Profile, modifier: PathModifier) {
    this.profile = profile;
    this.#modifier = modifier;
    this.#answers = fixedAnswers(profile);
    this.#driver = driverOf(profile);
    this.#framer = this.#driver?.framer() ?? framerOf(profile);
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
    this.#memory = { controllers: new Map() };
    this.#driver = driverOf(this.profile);
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

  /** Does what a command says. Returns the answer, without the end of a line, or undefined where the unit gives none. */
  obey(command: string): string | undefined {
    if (this.#driver !== undefined) return this.#driver.hear(command, this.#driverCells).join('') || undefined;
    const does = this.#means(command) ?? (() => this.error('unsupported'));
    const answer = does();
    if (this.profile.framing.echo === 'none') return answer;
    return answer === undefined ? command : command + this.profile.framing.rxEnd + answer;
  }

  /** What this model says when its power comes on, if it says anything. */
  get banner(): string | undefined {
    return this.#frame(this.profile.document.sim.banner);
  }

  /** The message with which this model reports an error, if it does. */
  error(meaning: ErrorMeaning): string | undefined {
    return this.#frame(this.profile.document.sim.errors[meaning]);
  }

  /** The present value of a setting. @throws RangeError when there is no such setting */
  value(key: string): SettingValue {
    const { parameter, w } = this.#cell(key);
    return parameter.taper.decode(w) as SettingValue;
  }

  /** Turns a knob at the unit itself. Returns the message with which it would acknowledge that. @throws RangeError */
  turn(key: string, value: SettingValue): string | undefined {
    const cell = this.#cell(key);
    const w = cell.parameter.taper.encode(value);
    if (w === undefined) throw new RangeError(`${key}: ${String(value)} is not a position of this unit`);
    this.#put(cell, w);
    return cell.parameter.mirror.ack?.(cell.index, w);
  }

  #cell(key: string): Cell {
    const cell = this.#cells.get(key);
    if (cell === undefined) throw new RangeError(`${this.profile.id} has no setting ${key}`);
    return cell;
  }

  #frame(message: Message | undefined): string | undefined {
    return message === undefined ? undefined : said(this.profile, message);
  }

  #means(command: string): (() => string | undefined) | undefined {
    // A dump that also tells who the unit is has to hold what it has.
    for (const dump of this.profile.dumps.values())
      if (dump.tx === command) return () => dump.make(this.#dumped(dump.name));
    if (this.#answers.has(command)) return () => this.#answers.get(command);
    const { params } = this.profile;
    for (const parameter of params.values()) {
      const question = parameter.mirror.asked?.(command);
      if (question === undefined) continue;
      return () => {
        const cell = this.#cells.get(settingKey(parameter, question.index));
        return cell === undefined ? this.error('bad-value') : parameter.mirror.reply?.(cell.index, cell.w);
      };
    }
    const sets = [...params.values()].flatMap((parameter) => {
      const present = (index: number | null): Decimal =>
        this.#cells.get(settingKey(parameter, index))?.w ?? decimalOf(0);
      const statements = parameter.mirror.heard(command, this.#memory, present);
      return statements.flatMap(({ index, w }) => (w === null ? [] : [{ key: settingKey(parameter, index), w }]));
    });
    // A controller that is only half of a value is understood and does nothing yet.
    if (sets.length === 0)
      return this.profile.framing.kind === 'midi' && command.length === 3 ? () => undefined : undefined;
    return () => sets.map(({ key, w }) => this.#set(this.#cells.get(key), w))[0];
  }

  /** The bytes of a dump, from all that stands in it. */
  #dumped(name: string): Map<number, number> {
    const bytes = new Map<number, number>();
    for (const { parameter, index, w } of this.#cells.values())
      if (parameter.place?.dump(index) === name) parameter.place.put(index, w, bytes);
    return bytes;
  }

  #set(cell: Cell | undefined, w: Decimal): string | undefined {
    if (cell === undefined || cell.parameter.taper.decode(w) === undefined) return this.error('bad-value');
    if (compare(cell.w, w) !== 0) this.#put(cell, w);
    return cell.parameter.mirror.ack?.(cell.index, w);
  }

  /** What the unit links moves along. */
  #put(cell: Cell, w: Decimal): void {
    const { parameter, index } = cell;
    const group = parameter.axis?.link.find((indices) => index !== null && indices.includes(index)) ?? [index];
    for (const other of group) (this.#cells.get(settingKey(parameter, other)) ?? cell).w = w;
    this.#drive();
  }

  get #driverCells() {
    const cell = (name: string, index: number | null): Cell | undefined =>
      [...this.#cells.values()].find(({ parameter, index: i }) => parameter.codec.driver === name && i === index);
    return {
      has: (name: string) => [...this.profile.params.values()].some(({ codec }) => codec.driver === name),
      get: (name: string, index: number | null) => cell(name, index)?.w ?? decimalOf(0),
      set: (name: string, index: number | null, w: Decimal) => void this.#set(cell(name, index), w),
    };
  }

  /** Which input each output hears; one that hears none is not in it. */
  #routes(name: string): ReadonlyMap<number, number> {
    const routes = new Map<number, number>();
    for (const { parameter, index, w } of this.#cells.values()) {
      if (parameter.name !== name) continue;
      const input = Number(parameter.taper.decode(w));
      if (input !== 0) routes.set(index ?? 1, input);
    }
    return routes;
  }

  #drive(): void {
    const sums = new Map<DriveTarget, number>();
    for (const [key, drive] of Object.entries(this.profile.document.sim.drives ?? {})) {
      const { to, scale } = typeof drive === 'string' ? { to: drive, scale: 1 } : drive;
      if (to === 'routes') this.#modifier.routes = this.#routes(key);
      else sums.set(to, (sums.get(to) ?? 0) + Number(this.value(key)) * scale);
    }
    const [gainDb, muted, delaySeconds] = [sums.get('gainDb'), sums.get('muted'), sums.get('delaySeconds')];
    if (gainDb !== undefined) this.#modifier.gainDb = gainDb;
    if (muted !== undefined) this.#modifier.muted = muted !== 0;
    if (delaySeconds !== undefined) this.#modifier.delaySeconds = delaySeconds;
    const erasing = sums.get('erasing');
    if (erasing !== undefined) this.#modifier.erasing = erasing !== 0;
  }
}

function said({ framing, vars }: Profile, message: Message): string {
  return messageFrame(framing.kind, message, vars, 'sim');
}

/** What is answered whatever the unit has: who it is, and the steps of a session. */
function fixedAnswers(profile: Profile): Map<string, string | undefined> {
  const { identity, session, document } = profile;
  const { sim } = document;
  const answers = new Map<string, string | undefined>();
  const frame = (message: Message | undefined): string | undefined =>
    message === undefined ? undefined : said(profile, message);
  const learn = (steps: readonly { tx: string; rx: unknown }[], said: readonly Message[] = []): void => {
    const left = [...said];
    for (const { tx, rx } of steps) answers.set(tx, rx === undefined ? undefined : frame(left.shift()));
  };
  learn(session.begin, sim.session?.begin);
  learn(session.end, sim.session?.end);
  if (session.keepAlive !== undefined)
    learn([session.keepAlive], sim.session?.keepAlive === undefined ? [] : [sim.session.keepAlive]);
  learn(identity, sim.identity);
  return answers;
}

function framerOf({ framing }: Profile): Framer | undefined {
  const { kind, txEnd, rxMax, rxGapMs } = framing;
  if (kind === 'midi') return new MidiFramer({ maxBytes: rxMax, gapMs: rxGapMs });
  return txEnd === '' ? undefined : new LineFramer({ end: txEnd, maxBytes: rxMax, gapMs: rxGapMs });
}

function driverOf({ driver, vars }: Profile): DriverSimulation | undefined {
  return driver === undefined ? undefined : codeDriver(driver, Object.fromEntries(vars))?.simulate();
}

/** A unit whose power comes on is in its safe state, as far as it has one, and else at the bottom of every range. */
function powerUp({ safeState }: Profile, { taper }: Parameter, key: string): Decimal {
  const value = safeState[key] ?? taper.sample(2)[0] ?? 0;
  return taper.encode(value) as Decimal;
}
