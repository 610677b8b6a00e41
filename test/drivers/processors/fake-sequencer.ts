/** A sequencer with ports that come and go, in the shape of the MIDI library: for what no real one does on demand. */
import { EventEmitter } from 'node:events';
import type { MidiLibrary } from '../../../drivers/processors/midi-library.js';

interface Port {
  /** With its numbers. */
  name: string;
  input: boolean;
  output: boolean;
}

export class FakeSequencer {
  ports: Port[] = [];
  /** What was sent, by the full name of the port at which it arrived. */
  readonly sent: [port: string, message: string][] = [];
  /** Runs once, between the moment in which a port was chosen and its opening. */
  beforeOpen: (() => void) | undefined;
  failSending: Error | undefined;
  open = 0;
  #nextClient = 128;
  readonly #targets = new Map<string, (message: Buffer) => void>();
  readonly #listeners = new Map<string, Set<(message: Buffer) => void>>();

  plug(name: string, kind: { input?: boolean; output?: boolean } = {}, at = this.ports.length): void {
    this.ports.splice(at, 0, { name, input: kind.input ?? true, output: kind.output ?? true });
  }

  unplug(name: string): void {
    this.ports = this.ports.filter((port) => port.name !== name);
  }

  say(name: string, message: string): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(Buffer.from(message, 'latin1'));
  }

  library(): MidiLibrary {
    const sequencer = this;
    abstract class Half extends EventEmitter {
      held: string | undefined;
      /** A port that this one has made. */
      own: string | undefined;

      constructor() {
        super();
        sequencer.open++;
      }

      abstract list(): Port[];

      getPortCount(): number {
        return this.list().length;
      }

      getPortName(index: number): string {
        return this.list()[index]?.name ?? '';
      }

      openPort(index: number): void {
        sequencer.beforeOpen?.();
        sequencer.beforeOpen = undefined;
        this.held = this.list()[index]?.name;
      }

      abstract openVirtualPort(name: string): void;

      closePort(): void {
        this.held = undefined;
        if (this.own !== undefined) sequencer.unplug(this.own);
      }

      destroy(): void {
        this.closePort();
        sequencer.open--;
      }
    }
    class Input extends Half {
      readonly #hear = (message: Buffer): void => {
        this.emit('messageBuffer', 0, message);
      };

      override list(): Port[] {
        return sequencer.ports.filter(({ input }) => input);
      }

      ignoreTypes(): void {}

      override openVirtualPort(name: string): void {
        this.own = `Input Client:${name} ${sequencer.#nextClient++}:0`;
        sequencer.plug(this.own, { input: false });
        sequencer.#targets.set(this.own, this.#hear);
      }

      override openPort(index: number): void {
        super.openPort(index);
        if (this.held === undefined) return;
        const all = sequencer.#listeners.get(this.held) ?? new Set();
        sequencer.#listeners.set(this.held, all.add(this.#hear));
      }

      override closePort(): void {
        if (this.held !== undefined) sequencer.#listeners.get(this.held)?.delete(this.#hear);
        super.closePort();
      }
    }
    class Output extends Half {
      override list(): Port[] {
        return sequencer.ports.filter(({ output }) => output);
      }

      override openVirtualPort(name: string): void {
        this.own = `Output Client:${name} ${sequencer.#nextClient++}:0`;
        sequencer.plug(this.own, { output: false });
      }

      sendMessage(message: number[] | Buffer): void {
        const bytes = Buffer.from(message);
        if (this.own !== undefined) sequencer.say(this.own, bytes.toString('latin1'));
        if (sequencer.failSending !== undefined) throw sequencer.failSending;
        // As the kernel does it: for a port that is gone, nothing happens.
        if (this.held === undefined || !this.list().some(({ name }) => name === this.held)) return;
        sequencer.sent.push([this.held, bytes.toString('latin1')]);
        sequencer.#targets.get(this.held)?.(bytes);
      }
    }
    return { Input, Output };
  }
}
