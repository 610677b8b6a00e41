/** The list of checks and how they are run: each says one line, and one that fails does not hide the next. */
import { openSync, writeSync } from 'node:fs';
import { encode, type Report } from '../report.js';

/** The second serial port. Opened here, because a standard stream on a terminal does not wait when the line is busy. */
const line = openSync('/dev/ttyS1', 'w');

interface Check {
  name: string;
  /** @returns what is worth knowing */
  run: () => Promise<string>;
  /** Without it nothing after it can be found out. */
  needed: boolean;
}

export function say(report: Report): void {
  const bytes = Buffer.from(encode(report));
  for (let at = 0; at < bytes.length; ) at += writeSync(line, bytes, at);
}

export class Checks {
  readonly #checks: Check[] = [];

  add(name: string, run: () => Promise<string>): void {
    this.#checks.push({ name, run, needed: false });
  }

  addNeeded(name: string, run: () => Promise<string>): void {
    this.#checks.push({ name, run, needed: true });
  }

  /** @param parts of the names of those to run, besides what they need; all when empty */
  async run(parts: readonly string[], onFailed: () => Promise<void>): Promise<void> {
    const chosen = this.#checks.filter(
      ({ name, needed }) => needed || parts.length === 0 || parts.some((part) => name.includes(part)),
    );
    say({ kind: 'plan', checks: chosen.map(({ name }) => name) });
    for (const { name, run, needed } of chosen) {
      const startMs = performance.now();
      const done = (ok: boolean, detail: string) =>
        say({ kind: 'check', name, ok, detail, seconds: (performance.now() - startMs) / 1000 });
      try {
        done(true, await run());
      } catch (error) {
        done(false, error instanceof Error ? error.message : String(error));
        await onFailed();
        if (needed) return;
      }
    }
  }
}
