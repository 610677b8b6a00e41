/** Readings of a meter, typed or piped in line by line. */
import { createInterface, type Interface } from 'node:readline';
import { unlessAborted } from '../../core/duration.js';
import { OutboardError } from '../../core/errors.js';

export class MeterReader {
  readonly #input: NodeJS.ReadableStream;
  readonly #output: NodeJS.WritableStream;
  #lines: { reader: Interface; next: AsyncIterator<string> } | undefined;

  constructor(input: NodeJS.ReadableStream, output: NodeJS.WritableStream) {
    this.#input = input;
    this.#output = output;
  }

  /**
   * Asks until a number comes; a comma is taken for a point, the unit may stand behind it.
   * @throws OutboardError calibration.answer at the end of the input; the signal's reason
   */
  async read(prompt: string, unit: string, signal: AbortSignal): Promise<number> {
    for (;;) {
      this.#output.write(`${prompt} [${unit}]: `);
      const line = await this.#next(signal);
      if (line === null) throw new OutboardError('calibration.answer', 'the input ended before a reading came');
      const value = numberIn(line, unit);
      if (value !== null) return value;
      this.#output.write(`"${line.trim()}" is no number of ${unit}\n`);
    }
  }

  /** Lets go of the input. May be called twice. */
  close(): void {
    this.#lines?.reader.close();
  }

  async #next(signal: AbortSignal): Promise<string | null> {
    if (!this.#lines) {
      const reader = createInterface({ input: this.#input });
      this.#lines = { reader, next: reader[Symbol.asyncIterator]() };
    }
    const line = await unlessAborted(this.#lines.next.next(), signal);
    return line.done ? null : line.value;
  }
}

function numberIn(line: string, unit: string): number | null {
  const words = new RegExp(`^([-+]?[0-9.,]+(?:e[-+]?[0-9]+)?)\\s*(?:${unit})?$`, 'i').exec(line.trim());
  const value = words ? Number(words[1]!.replace(',', '.')) : Number.NaN;
  return Number.isFinite(value) ? value : null;
}
