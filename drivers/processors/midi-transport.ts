/**
 * A unit at a MIDI port of the host. The sequencer tells nobody that a port has gone, and takes messages for it without a word; so the port is looked
 * for, by its full name, as long as the link is open.
 */
import { OutboardError } from '../../core/errors.js';
import { loadMidi, type MidiLibrary } from './midi-library.js';
import { splitMessages } from './midi-messages.js';
import { findPort, type PortList, portNames } from './midi-ports.js';
import type { Link, LinkListener, Transport } from './transport.js';
import { WirePace } from './wire-pace.js';

export interface MidiSettings {
  /** Of the port, without numbers. */
  name: string;
  /** A DIN cable carries 3125 bytes a second whatever the sequencer takes; USB has no such limit. */
  link: 'din' | 'usb';
  /** The longest message of system exclusive that the unit sends or takes, bytes; more is not sent. */
  sysexMax: number;
  /** False for a unit that says nothing: then a port without an input will do. */
  listens: boolean;
  library?: () => Promise<MidiLibrary>;
}

const WATCH_MS = 500;
const DIN_BYTES_PER_SECOND = 3125;
/** How often an opening is tried while ports come and go beneath it. */
const TRIES = 3;

/** Opens nothing yet, and loads nothing. */
export function createMidiTransport(settings: MidiSettings): Transport {
  return {
    description: `MIDI port "${settings.name}"`,
    open: (listener, signal) => open(settings, listener, signal),
  };
}

/** @throws OutboardError processor.port: the host has no MIDI, no such port, or several */
async function open(settings: MidiSettings, listener: LinkListener, signal: AbortSignal): Promise<Link> {
  signal.throwIfAborted();
  const library = await (settings.library ?? loadMidi)();
  signal.throwIfAborted();
  const link = new MidiLink(library, settings, listener);
  try {
    link.open();
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}

class MidiLink implements Link {
  readonly #settings: MidiSettings;
  readonly #listener: LinkListener;
  readonly #input: InstanceType<MidiLibrary['Input']> | undefined;
  readonly #output: InstanceType<MidiLibrary['Output']>;
  readonly #pace: WirePace | undefined;
  readonly #ended = new AbortController();
  /** Full names of what is open. */
  #held: { output: string; input: string | undefined } | undefined;
  #watch: NodeJS.Timeout | undefined;

  constructor(library: MidiLibrary, settings: MidiSettings, listener: LinkListener) {
    this.#settings = settings;
    this.#listener = listener;
    try {
      this.#output = new library.Output();
      this.#input = settings.listens ? new library.Input() : undefined;
    } catch (cause) {
      throw new OutboardError('processor.port', `the sequencer cannot be used: ${(cause as Error).message}`, { cause });
    }
    this.#pace = settings.link === 'din' ? new WirePace(DIN_BYTES_PER_SECOND) : undefined;
  }

  /** @throws OutboardError processor.port */
  open(): void {
    const { name } = this.#settings;
    // System exclusive is wanted; clock and active sensing say nothing of a setting.
    this.#input?.ignoreTypes(false, true, true);
    this.#input?.on('messageBuffer', (_, message) => {
      if (!this.#ended.signal.aborted) this.#listener.data(message);
    });
    const input = this.#input === undefined ? undefined : openByName(this.#input, name, 'input');
    const output = openByName(this.#output, name, 'output');
    this.#held = { output, input };
    this.#watchLater();
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#ended.signal.throwIfAborted();
    const messages = splitMessages(bytes);
    const tooLong = messages.find((message) => message.length > this.#settings.sysexMax);
    // The sequencer loses parts of long messages; half of one could be a whole other one.
    if (tooLong !== undefined)
      throw new RangeError(`a message of ${tooLong.length} bytes; at most ${this.#settings.sysexMax} are sent`);
    const leftAtMs = this.#pace?.push(bytes.length) ?? performance.now();
    try {
      for (const message of messages) this.#output.sendMessage(Buffer.from(message));
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
    return leftAtMs;
  }

  async close(): Promise<void> {
    this.#end(new Error('the link was closed'));
  }

  #fail(error: Error): void {
    if (this.#ended.signal.aborted) return;
    this.#end(error);
    this.#listener.lost(error);
  }

  #end(error: Error): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(error);
    clearTimeout(this.#watch);
    // Also ends the library's thread, which would keep the process alive.
    this.#input?.destroy();
    this.#output.destroy();
  }

  #watchLater(): void {
    this.#watch = setTimeout(() => {
      if (this.#isThere()) this.#watchLater();
      else this.#fail(new Error(`the MIDI port "${this.#settings.name}" is gone`));
    }, WATCH_MS);
    this.#watch.unref();
  }

  #isThere(): boolean {
    const held = this.#held;
    if (held === undefined) return false;
    if (!portNames(this.#output).includes(held.output)) return false;
    return this.#input === undefined || held.input === undefined || portNames(this.#input).includes(held.input);
  }
}

/**
 * The library opens by index, and an index means another port as soon as one comes or goes before it: the list has to be the same before and
 * afterwards.
 */
function openByName(
  port: PortList & { openPort(index: number): void; closePort(): void },
  name: string,
  what: 'input' | 'output',
): string {
  for (let tries = 0; tries < TRIES; tries++) {
    const before = portNames(port);
    const { index, fullName } = findPort(before, name, what);
    port.openPort(index);
    const after = portNames(port);
    if (after[index] === fullName && after.length === before.length) return fullName;
    port.closePort();
  }
  throw new OutboardError('processor.port', `MIDI ports come and go; "${name}" could not be opened for sure`);
}
