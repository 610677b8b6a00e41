/**
 * A hand-written unit at the other end of a wire, for the protocol of the matrix profile: it shares no code with the driver, answers from a small
 * table of its own, and a test decides what goes wrong.
 */
import { FakeWire } from './fake-wire.js';

/** What the peer does with a command: lines to say (each gets CR LF), or 'close', or 'hang' for a write that never ends. */
export type Script = (command: string) => string[] | 'close' | 'hang' | 'write-error' | undefined;

export class FakeMatrix extends FakeWire {
  readonly description = 'fake matrix';
  readonly commands: string[] = [];
  readonly values = new Map<string, string>();
  part = '60-330-16';
  /** Asked before the table; undefined lets the table answer. */
  script: Script = () => undefined;

  protected override async hear(command: string): Promise<string[]> {
    this.commands.push(command);
    const scripted = this.script(command);
    if (scripted === 'hang') return await new Promise<string[]>(() => undefined);
    if (scripted === 'write-error') throw new Error('EIO');
    if (scripted === 'close') {
      queueMicrotask(() => this.drop());
      return [];
    }
    return (scripted ?? this.#answer(command)).map((line) => `${line}\r\n`);
  }

  say(line: string): void {
    this.deliver(`${line}\r\n`);
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
