/**
 * A simulated unit behind a real port of this host: a terminal of the kernel, or a port of its MIDI sequencer. The unit of the rig opens it as
 * it opens hardware, and bytes take as long as they would. The port is there from the opening of the link to its end, under a new name each time.
 */
import { randomUUID } from 'node:crypto';
import { loadMidi, type MidiLibrary } from './midi-library.js';
import { splitMessages } from './midi-messages.js';
import { createMidiTransport } from './midi-transport.js';
import { PacedPipe } from './paced-pipe.js';
import type { PathModifier } from './path-modifier.js';
import type { Profile } from './profile.js';
import { openPty } from './pty.js';
import { createSerialTransport, type SerialSettings } from './serial-transport.js';
import type { Link, LinkListener, Transport } from './transport.js';
import { type VirtualLink, type VirtualTransport, VirtualWire } from './virtual-unit.js';
import { serialBytesPerSecond } from './wire-pace.js';

/** The line as the unit's port is set. */
export type PtySettings = Omit<SerialSettings, 'path'>;

/** The simulated unit at the other end of a real terminal. Needs socat. */
export function createPtyTransport(profile: Profile, modifier: PathModifier, line: PtySettings): VirtualTransport {
  return new CabledWire(profile, modifier, ' on a pty', (received) => layPty(line, received));
}

export interface VirtualMidiSettings {
  link: 'din' | 'usb';
  sysexMax: number;
  library?: () => Promise<MidiLibrary>;
}

/** The simulated unit as a port of the sequencer. Needs /dev/snd/seq. */
export function createVirtualMidiTransport(
  profile: Profile,
  modifier: PathModifier,
  settings: VirtualMidiSettings,
): VirtualTransport {
  return new CabledWire(profile, modifier, ' on a MIDI port', (received) => layMidi(settings, received));
}

interface Cable {
  /** How the rig opens its end. */
  readonly transport: Transport;
  /** From the unit, at the pace of the cable. */
  deliver(bytes: Uint8Array): void;
  /** The port goes away. May be called twice. */
  pull(): Promise<void>;
}

type Lay = (received: (bytes: Uint8Array) => void) => Promise<Cable>;

async function layPty(line: PtySettings, received: (bytes: Uint8Array) => void): Promise<Cable> {
  const bytesPerSecond = serialBytesPerSecond(line.baud, line.format);
  const toUnit = new PacedPipe({ bytesPerSecond, deliver: received });
  const pty = await openPty((bytes) => toUnit.push(bytes));
  const toRig = new PacedPipe({ bytesPerSecond, deliver: (bytes) => pty.write(bytes) });
  return {
    transport: createSerialTransport({ ...line, path: pty.path }),
    deliver: (bytes) => toRig.push(bytes),
    pull: async () => {
      toUnit.close();
      toRig.close();
      await pty.close();
    },
  };
}

const DIN_BYTES_PER_SECOND = 3125;
/** As fast as USB is, measured by what a unit says. */
const USB_BYTES_PER_SECOND = 1_000_000;

async function layMidi(settings: VirtualMidiSettings, received: (bytes: Uint8Array) => void): Promise<Cable> {
  const library = await (settings.library ?? loadMidi)();
  const name = `outboard ${randomUUID()}`;
  const bytesPerSecond = settings.link === 'din' ? DIN_BYTES_PER_SECOND : USB_BYTES_PER_SECOND;
  const [input, output] = [new library.Input(), new library.Output()];
  const toUnit = new PacedPipe({ bytesPerSecond, whole: true, deliver: received });
  const toRig = new PacedPipe({ bytesPerSecond, whole: true, deliver: (bytes) => sendWhole(output, bytes) });
  input.ignoreTypes(false, true, true);
  input.on('messageBuffer', (_, message) => toUnit.push(message));
  input.openVirtualPort(name);
  output.openVirtualPort(name);
  let pulled = false;
  return {
    transport: createMidiTransport({ ...settings, name, listens: true }),
    deliver: (bytes) => toRig.push(bytes),
    pull: async () => {
      if (pulled) return;
      pulled = true;
      toUnit.close();
      toRig.close();
      input.destroy();
      output.destroy();
    },
  };
}

/** The sequencer carries whole messages only: of a broken one nothing arrives, as with a cable that is torn out in the middle. */
function sendWhole(output: InstanceType<MidiLibrary['Output']>, bytes: Uint8Array): void {
  let messages: Uint8Array[];
  try {
    messages = splitMessages(bytes);
  } catch {
    return;
  }
  for (const message of messages) output.sendMessage(Buffer.from(message));
}

class CabledWire extends VirtualWire {
  readonly #lay: Lay;

  constructor(profile: Profile, modifier: PathModifier, wire: string, lay: Lay) {
    super(profile, modifier, wire);
    this.#lay = lay;
  }

  protected override async connect(listener: LinkListener, signal: AbortSignal): Promise<VirtualLink> {
    const cable = await this.#lay((bytes) => this.end.receive(bytes));
    try {
      const link = new CabledLink(cable);
      const opened = await cable.transport.open(
        {
          data: (bytes) => listener.data(bytes),
          lost: (error) => {
            link.gone();
            listener.lost(error);
          },
        },
        signal,
      );
      link.opened(opened);
      return link;
    } catch (error) {
      await cable.pull();
      throw error;
    }
  }
}

class CabledLink implements VirtualLink {
  readonly #cable: Cable;
  #link: Link | undefined;
  isOpen = true;

  constructor(cable: Cable) {
    this.#cable = cable;
  }

  opened(link: Link): void {
    this.#link = link;
  }

  /** The rig's end has found out. */
  gone(): void {
    this.isOpen = false;
    void this.#cable.pull();
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.#link === undefined) throw new Error('the link is not open');
    return await this.#link.write(bytes);
  }

  async close(): Promise<void> {
    this.isOpen = false;
    await this.#link?.close();
    await this.#cable.pull();
  }

  deliver(bytes: Uint8Array): void {
    if (this.isOpen) this.#cable.deliver(bytes);
  }

  /** Only the port goes: that it has gone is for the rig's end to find out. */
  fail(): void {
    void this.#cable.pull();
  }
}
