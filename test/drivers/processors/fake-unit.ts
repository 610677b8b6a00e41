/** The far end of a wire for tests: every write is noted, and a function of the test's own says what comes back, byte for byte. */
import { setTimeout as sleep } from 'node:timers/promises';
import { FakeWire } from './fake-wire.js';

export class FakeUnit extends FakeWire {
  readonly description = 'fake unit';
  /** Every write with the time at which it came, latin1. */
  readonly writes: { text: string; atMs: number }[] = [];
  /** How long the link takes for a write. */
  writeMs = 0;
  /** What comes back for one write, latin1; nothing when it is undefined. */
  answer: (write: string) => string | undefined = () => undefined;
  #watchers: (() => void)[] = [];

  protected override async hear(text: string): Promise<string[]> {
    this.writes.push({ text, atMs: performance.now() });
    for (const watcher of this.#watchers.splice(0)) watcher();
    if (this.writeMs > 0) await sleep(this.writeMs);
    const answer = this.answer(text);
    return answer === undefined ? [] : [answer];
  }

  get texts(): string[] {
    return this.writes.map(({ text }) => text);
  }

  /** Resolves when what was written so far satisfies the test. */
  async until(isTrue: (texts: string[]) => boolean): Promise<void> {
    while (!isTrue(this.texts)) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }
}

/** The bytes that hex digits stand for, latin1. */
export function hex(digits: string): string {
  return Buffer.from(digits.replace(/\s/g, ''), 'hex').toString('latin1');
}
