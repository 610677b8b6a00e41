/**
 * A sound card for tests on a machine that has none: an I/O plugin of alsa-lib (pcm_loopcard.c) that any program opens as
 * `hw:CARD=Loop,DEV=0`, once ALSA_CONFIG_PATH names the asound.conf that is written here.
 *
 * It keeps real time, and both directions share one clock: capture frame n is playback frame n - delayFrames, exactly and at every start
 * of which the two directions follow each other within 50 ms. Outputs are wired to inputs of the same number. It is exclusive, goes into
 * xrun when it is starved or overrun, and does whatever a test wants a bad card to do (`inject`).
 *
 * alsa-lib reads its configuration once: a process that drives the card itself sets `process.env` before its first PCM.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dbToRatio } from '../../../core/units.js';
import {
  CAPTURE,
  CARD_LAYOUT,
  CardFile,
  type Direction,
  MAX_POLY,
  MAX_RATES,
  MAX_SUBDEVICES,
  PLAYBACK,
} from './card-file.js';
import { loopCardPlugin } from './plugin.js';
import { type ProcCard, ProcTree } from './proc-tree.js';

export interface AnalogModel {
  /** Default 0. */
  gainDb?: number;
  /** On top of the card's own. Default 0. */
  delayFrames?: number;
  /** White, of a normal distribution; a full-scale sine is 0 dBFS (AES17). Default none. */
  noiseDbfs?: number;
  /** Coefficients of x^2, x^3, ... with full scale 1. Default none. */
  poly?: number[];
  /** From each channel to its two neighbours. Default none. */
  crosstalkDb?: number;
}

export type SampleFormat = 'S32_LE' | 'S24_3LE';

export interface LoopCardOptions {
  /** Default 'Loop'. */
  card?: string;
  /** Channels; 0 where the card has no such direction. */
  in: number;
  out: number;
  /** Default 44100, 48000, 88200 and 96000. */
  rates?: number[];
  /** Default S32_LE alone. */
  formats?: SampleFormat[];
  /** From playback frame to capture frame. Default 64. */
  delayFrames?: number;
  /** Default 1. Each is a cable of its own. */
  subdevices?: number;
  /** Playback starts so many frames after capture (or before, where negative), which adds to the delay. Default 0. */
  startSkewFrames?: number;
  /** Default an ideal wire. Samples then pass bit for bit. */
  analog?: AnalogModel;
  /** How many frames of the past the card keeps: twice the largest buffer that it grants, and the delay. Default 2^18 and the delay. */
  historyFrames?: number;
}

/** A frame `at` counts from the start of the stream; without it, it is the next one. A fault for a stream that does not run yet waits. */
export type CardFault =
  /** The stream stops with an xrun at once. */
  | { kind: 'xrun-in' | 'xrun-out' }
  /** From capture frame `at` on, samples come so many frames earlier, and nobody is told. */
  | { kind: 'drop'; frames: number; at?: number }
  /** From capture frame `at` on, the so many frames before it come once more, and nobody is told. */
  | { kind: 'repeat'; frames: number; at?: number }
  /** The card's clock stands still, for so long or until `plug`. */
  | { kind: 'stall'; ms?: number }
  /** Whatever is open answers ENODEV from now on, and stays so; so does opening, until `plug`. */
  | { kind: 'unplug' }
  /** Opening answers EBUSY (busy) or EACCES (deny), until `plug`. */
  | { kind: 'busy' | 'deny' }
  /** Opening goes well, setting parameters answers ENODEV, until `plug`. */
  | { kind: 'die-while-opening' }
  /** /proc/asound names another process as the owner of what is open, until `plug`. */
  | { kind: 'steal' };

export interface CardCounters {
  /** Frames of the streams that run, or ran last. */
  played: number;
  captured: number;
  xrunsIn: number;
  xrunsOut: number;
  /** The first frame that the last xrun, drop or repeat concerns; null before it is carried out. */
  lastInjectedAt: number | null;
}

const FORMAT_NUMBERS: Record<SampleFormat, number> = { S32_LE: 10, S24_3LE: 32 };
const DEFAULT_HISTORY_FRAMES = 2 ** 18;
const FOREVER_NS = 2n ** 62n;
/** init's, which never owns a PCM. */
const THIEF_PID = 1;

export class LoopCard {
  /** What `hw:` opens. */
  readonly device: string;
  /** In the place of /proc/asound. */
  readonly procRoot: string;
  /** For processes that shall see the card. */
  readonly env: { ALSA_CONFIG_PATH: string };
  readonly #home: Home;
  readonly #file: CardFile;
  readonly #proc: ProcCard;
  #lastFault: Direction = CAPTURE;
  #closed = false;

  private constructor(home: Home, options: LoopCardOptions, index: number) {
    const id = cardId(options);
    this.device = `hw:CARD=${id},DEV=0`;
    this.procRoot = home.proc.root;
    this.env = { ALSA_CONFIG_PATH: home.config };
    this.#home = home;
    this.#file = new CardFile(join(home.folder, id, 'card'));
    this.#proc = {
      index,
      id,
      subdevices: options.subdevices ?? 1,
      playback: options.out > 0,
      capture: options.in > 0,
    };
  }

  static async open(options: LoopCardOptions): Promise<LoopCard> {
    return (await LoopCard.openAll([options]))[0]!;
  }

  /** Several cards that one process sees together. Card n has the index n, as in `hw:1,0`. */
  static async openAll(all: readonly LoopCardOptions[]): Promise<LoopCard[]> {
    for (const options of all) check(options);
    const home = await makeHome(all.map(cardId));
    return all.map((options, index) => {
      mkdirSync(join(home.folder, cardId(options)));
      symlinkSync(cardId(options), join(home.folder, `${index}`));
      const card = new LoopCard(home, options, index);
      card.#configure(options);
      home.proc.add(card.#proc);
      home.cards.add(card);
      return card;
    });
  }

  inject(fault: CardFault): void {
    const file = this.#file;
    switch (fault.kind) {
      case 'xrun-in':
      case 'xrun-out':
        return this.#queue(fault.kind === 'xrun-in' ? CAPTURE : PLAYBACK, { kind: 'xrun', frames: 0, at: -1 });
      case 'drop':
      case 'repeat':
        return this.#queue(CAPTURE, { at: -1, ...fault });
      case 'stall':
        return this.#stall(fault.ms === undefined ? FOREVER_NS : BigInt(Math.round(fault.ms * 1e6)));
      case 'unplug':
        return this.#unplug();
      case 'busy':
        return file.set('busy', 1);
      case 'deny':
        return file.set('denied', 1);
      case 'die-while-opening':
        return file.set('dying', 1);
      case 'steal':
        file.set('thief', THIEF_PID);
        return this.#showOwners();
    }
  }

  /** Undoes whatever `inject` has done that lasts. What was open when the card was unplugged stays dead. */
  plug(): void {
    const file = this.#file;
    for (const field of ['busy', 'denied', 'dying', 'thief'] as const) file.set(field, 0);
    this.#endStall();
    this.#showOwners();
    if (file.get('gone') === 0n) return;
    this.#home.proc.add(this.#proc);
    file.set('gone', 0);
  }

  /** From the next start on. */
  setStartSkew(frames: number): void {
    this.#file.set('startSkewFrames', frames);
  }

  counters(subdevice = 0): CardCounters {
    const count = (direction: Direction, field: 'position' | 'xruns' | 'faultsTaken' | 'faultsMade' | 'injectedAt') =>
      Number(this.#file.getStream(subdevice, direction, field));
    const waits = count(this.#lastFault, 'faultsTaken') < count(this.#lastFault, 'faultsMade');
    const none = count(this.#lastFault, 'faultsMade') === 0;
    return {
      played: count(PLAYBACK, 'position'),
      captured: count(CAPTURE, 'position'),
      xrunsIn: count(CAPTURE, 'xruns'),
      xrunsOut: count(PLAYBACK, 'xruns'),
      lastInjectedAt: waits || none ? null : count(this.#lastFault, 'injectedAt'),
    };
  }

  /** The capture frame in which playback frame 0 comes back; null where the two directions do not share a clock (yet). */
  loopFrames(subdevice = 0): number | null {
    const field = (direction: Direction, name: 'epoch' | 'startFrame') =>
      this.#file.getStream(subdevice, direction, name);
    if (field(PLAYBACK, 'epoch') === 0n || field(PLAYBACK, 'epoch') !== field(CAPTURE, 'epoch')) return null;
    return Number(field(PLAYBACK, 'startFrame') - field(CAPTURE, 'startFrame') + this.#file.get('delayFrames'));
  }

  /** The card is unplugged for good. The files go with the last card that was opened together with it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#unplug();
    this.#file.close();
    this.#home.cards.delete(this);
    if (this.#home.cards.size === 0) this.#home.remove();
  }

  #configure(options: LoopCardOptions): void {
    const file = this.#file;
    const { rates = [44_100, 48_000, 88_200, 96_000], formats = ['S32_LE'], analog } = options;
    const delayFrames = (options.delayFrames ?? 64) + (analog?.delayFrames ?? 0);
    file.set('layout', CARD_LAYOUT);
    file.set('index', this.#proc.index);
    file.set('subdevices', this.#proc.subdevices);
    file.set('channels', options.out, options.in);
    file.set('rateCount', rates.length, ...rates);
    file.set('formatCount', formats.length, ...formats.map((format) => FORMAT_NUMBERS[format]));
    file.set('historyFrames', options.historyFrames ?? DEFAULT_HISTORY_FRAMES + delayFrames);
    file.set('delayFrames', delayFrames);
    file.set('startSkewFrames', options.startSkewFrames ?? 0);
    if (analog === undefined) return;
    const { poly = [], gainDb = 0, noiseDbfs, crosstalkDb } = analog;
    file.set('analog', 1);
    file.set('polyCount', poly.length);
    file.setReal('gain', dbToRatio(gainDb));
    file.setReal('noiseRms', noiseDbfs === undefined ? 0 : dbToRatio(noiseDbfs) * Math.SQRT1_2);
    file.setReal('crosstalk', crosstalkDb === undefined ? 0 : dbToRatio(crosstalkDb));
    file.setReal('poly', ...poly);
  }

  #queue(direction: Direction, fault: { kind: 'xrun' | 'drop' | 'repeat'; frames: number; at: number }): void {
    this.#lastFault = direction;
    this.#file.addFault(0, direction, fault);
  }

  #stall(ns: bigint): void {
    this.#endStall();
    const now = process.hrtime.bigint();
    this.#changeStall((file) => {
      const past = file.get('stallUntilNs') - file.get('stallFromNs');
      file.set('stallTotalNs', file.get('stallTotalNs') + past);
      file.set('stallFromNs', now);
      file.set('stallUntilNs', now + ns);
    });
  }

  #endStall(): void {
    const now = process.hrtime.bigint();
    if (this.#file.get('stallUntilNs') > now) this.#changeStall((file) => file.set('stallUntilNs', now));
  }

  /** The plugin does not look at the fields while the version is odd. */
  #changeStall(change: (file: CardFile) => void): void {
    const version = this.#file.get('stallVersion');
    this.#file.set('stallVersion', version + 1n);
    change(this.#file);
    this.#file.set('stallVersion', version + 2n);
  }

  #unplug(): void {
    const file = this.#file;
    file.set('gone', 1);
    file.set('generation', file.get('generation') + 1n);
    for (let sub = 0; sub < this.#proc.subdevices; sub++) {
      for (const direction of [PLAYBACK, CAPTURE] as const) file.setStream(sub, direction, 'running', 0);
    }
    this.#home.proc.remove(this.#proc);
  }

  #showOwners(): void {
    const thief = this.#file.get('thief');
    for (let sub = 0; sub < this.#proc.subdevices; sub++) {
      for (const direction of [PLAYBACK, CAPTURE] as const) {
        const owner = thief === 0n ? this.#file.getStream(sub, direction, 'owner') : thief;
        this.#home.proc.setOwner(this.#proc, direction === PLAYBACK ? 'p' : 'c', sub, owner);
      }
    }
  }
}

/** A folder in memory that cards share: their files, the asound.conf and the tree of /proc/asound. */
interface Home {
  folder: string;
  config: string;
  proc: ProcTree;
  cards: Set<LoopCard>;
  remove(): void;
}

const HOME_PREFIX = 'outboard-loop-card';

async function makeHome(ids: readonly string[]): Promise<Home> {
  const plugin = await loopCardPlugin();
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  sweep(base);
  const folder = await mkdtemp(join(base, `${HOME_PREFIX}-${process.pid}-`));
  const config = join(folder, 'asound.conf');
  writeFileSync(config, asoundConf(plugin, folder, ids));
  for (const name of ['proc', 'unplugged']) mkdirSync(join(folder, name));
  const proc = new ProcTree(join(folder, 'proc'), join(folder, 'unplugged'));
  const remove = () => {
    process.off('exit', remove);
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', remove);
  return { folder, config, proc, cards: new Set(), remove };
}

/** Removes what test processes left behind that were killed: it takes memory. */
function sweep(base: string): void {
  for (const name of readdirSync(base)) {
    const pid = new RegExp(`^${HOME_PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (pid === undefined) continue;
    try {
      process.kill(Number(pid), 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') continue;
      rmSync(join(base, name), { recursive: true, force: true });
    }
  }
}

/**
 * PortAudio lists a card of the kernel by a name that ends with `(hw:X,Y)`, and others by the name that they have here; that name is then opened, and
 * read as `(hw` with arguments. `bogus` never opens: naudiodon's getDevices() aborts the process where every listed PCM does.
 */
function asoundConf(plugin: string, folder: string, ids: readonly string[]): string {
  const listed = ids.map(
    (id, index) => `pcm."(hw:${index},0)" { type loopcard folder "${folder}" card "${id}" device 0 subdevice -1 }\n`,
  );
  return `pcm_type.loopcard { lib "${plugin}" }
pcm.hw {
  @args [ CARD DEV SUBDEV ]
  @args.CARD { type string default "${ids[0]}" }
  @args.DEV { type integer default 0 }
  @args.SUBDEV { type integer default -1 }
  type loopcard
  folder "${folder}"
  card $CARD
  device $DEV
  subdevice $SUBDEV
}
${listed.join('')}pcm."(hw" {
  @args [ CARD REST ]
  @args.CARD { type string default "${ids[0]}" }
  @args.REST { type string default "" }
  type loopcard
  folder "${folder}"
  card $CARD
  device 0
  subdevice -1
}
pcm.bogus { type hw card 9 }
`;
}

function cardId(options: LoopCardOptions): string {
  return options.card ?? 'Loop';
}

/** @throws RangeError */
function check(options: LoopCardOptions): void {
  const within = (name: string, value: number, least: number, most: number) => {
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new RangeError(`${name} ${value} is not within ${least}..${most}`);
    }
  };
  if (!/^[A-Za-z][A-Za-z0-9_]{0,14}$/.test(cardId(options))) throw new RangeError(`card ${cardId(options)}`);
  within('in', options.in, 0, 256);
  within('out', options.out, 0, 256);
  within('subdevices', options.subdevices ?? 1, 1, MAX_SUBDEVICES);
  within('number of rates', options.rates?.length ?? 1, 1, MAX_RATES);
  within('number of coefficients', options.analog?.poly?.length ?? 0, 0, MAX_POLY);
}
