/**
 * A hand-written unit at the other end of a wire, for the protocol of the matrix profile: it shares no code with the driver, answers from a small
 * table of its own, and a test decides what goes wrong.
 */
import type { Link, LinkListener, Transport } from '../../../drivers/processors/transport.js';

/** What the peer does with a command: lines to say (each gets CR LF), or 'close', or 'hang' for a write that never ends. */
export type Script = (command: string) => string[] | 'close' | 'hang' | 'write-error' | undefined;

export class FakeMatrix implements Transport {
  readonly description = 'fake matrix';
  readonly commands: string[] = [];
  readonly values = new Map<string, string>();
  part = '60-330-16';
  present = true;
  opened = 0;
  /** Asked before the table; undefined lets the table answer. */
  script: Script = () => undefined;
  #listener: LinkListener | undefined;

  async open(listener: LinkListener): Promise<Link> {
    if (!this.present) throw new Error('No such file or directory');
    this.opened++;
    this.#listener = listener;
    let open = true;
    return {
      write: async (bytes) => {
        if (!open) throw new Error('closed');
        const command = Buffer.from(bytes).toString('latin1');
        this.commands.push(command);
        const scripted = this.script(command);
        if (scripted === 'hang') return await new Promise<void>(() => undefined);
        if (scripted === 'write-error') throw new Error('EIO');
        if (scripted === 'close') return void queueMicrotask(() => this.drop());
        const lines = scripted ?? this.#answer(command);
        queueMicrotask(() => {
          if (open) for (const line of lines) this.say(line);
        });
      },
      close: async () => {
        open = false;
      },
    };
  }

  say(line: string): void {
    this.bytes(`${line}\r\n`);
  }

  bytes(text: string): void {
    this.#listener?.data(Buffer.from(text, 'latin1'));
  }

  drop(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.lost(new Error('disconnected'));
  }

  #answer(command: string): string[] {
    if (command === 'N') return [this.part];
    const two = (text: string): string => text.padStart(2, '0');
    let m = /^(\d+)\*(\d+)([Gg])$/.exec(command);
    if (m) {
      const value = `${m[3] === 'g' ? '-' : '+'}${two(m[2]!)}`;
      this.values.set(`G${m[1]}`, value);
      return [`In${two(m[1]!)} Aud${value}`];
    }
    m = /^(\d+)\*(\d+)V$/.exec(command);
    if (m) {
      this.values.set(`V${m[1]}`, two(m[2]!));
      return [`Out${two(m[1]!)} Vol${two(m[2]!)}`];
    }
    m = /^(\d+)\*([01])Z$/.exec(command);
    if (m) {
      this.values.set(`Z${m[1]}`, m[2]!);
      return [`Amt${two(m[1]!)}*${m[2]}`];
    }
    m = /^(\d+)([GVZ])$/.exec(command);
    if (m) return [this.values.get(`${m[2]}${m[1]}`) ?? (m[2] === 'G' ? '+00' : m[2] === 'V' ? '00' : '0')];
    m = /^([012])X$/.exec(command);
    if (m) return [`Exe${m[1]}`];
    if (/^[01]L$/.test(command)) return [];
    return ['E10'];
  }
}
