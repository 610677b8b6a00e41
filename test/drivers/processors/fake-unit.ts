/** The far end of a wire for tests: every write is noted, and a function of the test's own says what comes back, byte for byte. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Link, LinkListener, Transport } from '../../../drivers/processors/transport.js';

export class FakeUnit implements Transport {
  readonly description = 'fake unit';
  /** Every write with the time at which it came, latin1. */
  readonly writes: { text: string; atMs: number }[] = [];
  opened = 0;
  /** How long the link takes for a write. */
  writeMs = 0;
  present = true;
  /** What comes back for one write, latin1; nothing when it is undefined. */
  answer: (write: string) => string | undefined = () => undefined;
  #listener: LinkListener | undefined;
  #watchers: (() => void)[] = [];

  async open(listener: LinkListener): Promise<Link> {
    if (!this.present) throw new Error('No such file or directory');
    this.opened++;
    this.#listener = listener;
    let open = true;
    return {
      write: async (bytes) => {
        if (!open) throw new Error('closed');
        const text = Buffer.from(bytes).toString('latin1');
        this.writes.push({ text, atMs: performance.now() });
        for (const watcher of this.#watchers.splice(0)) watcher();
        if (this.writeMs > 0) await sleep(this.writeMs);
        const answer = this.answer(text);
        queueMicrotask(() => {
          if (open && answer !== undefined) this.say(answer);
        });
      },
      close: async () => {
        open = false;
      },
    };
  }

  get texts(): string[] {
    return this.writes.map(({ text }) => text);
  }

  /** Resolves when what was written so far satisfies the test. */
  async until(isTrue: (texts: string[]) => boolean): Promise<void> {
    while (!isTrue(this.texts)) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  say(text: string): void {
    this.#listener?.data(Buffer.from(text, 'latin1'));
  }

  drop(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.lost(new Error('disconnected'));
  }
}

/** The bytes that hex digits stand for, latin1. */
export function hex(digits: string): string {
  return Buffer.from(digits.replace(/\s/g, ''), 'hex').toString('latin1');
}
