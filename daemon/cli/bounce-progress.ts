/** Shows the steps of a bounce: one bar a phase, and a remark when the rig keeps silent. */

import type { Output, Progress } from './output.js';
import type { BounceStep } from './run-bounce.js';

const SILENCE_MS = 10_000;

export class BounceProgressDisplay {
  readonly #output: Output;
  #label = '';
  #bar: Progress | undefined;
  #silence: NodeJS.Timeout | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  show(step: BounceStep): void {
    if (step.step === 'offered') {
      this.#end();
      this.#output.note(`offered as job ${step.job}`);
      this.#silence = setTimeout(
        () => this.#output.note('no answer from the rig yet; the offer is published again until there is one'),
        SILENCE_MS,
      );
      return;
    }
    if (step.step === 'event' || step.step === 'progress') clearTimeout(this.#silence);
    if (step.step === 'event') {
      this.#end();
      this.#output.note(step.attempt === undefined ? step.type : `${step.type} (attempt ${step.attempt})`);
    } else if (step.step === 'progress') this.#move(step.phase, step.percent, 100, 'percent');
    else this.#move(step.step, step.done, step.total, 'bytes');
  }

  /** Leaves the terminal in order; may be called twice. */
  stop(): void {
    clearTimeout(this.#silence);
    this.#end();
  }

  #move(label: string, done: number, total: number, unit: 'bytes' | 'percent'): void {
    if (label !== this.#label) {
      this.#end();
      this.#label = label;
      this.#bar = this.#output.progress(label.padEnd(10), total, unit);
    }
    this.#bar?.update(done);
  }

  #end(): void {
    this.#bar?.end();
    this.#bar = undefined;
    this.#label = '';
  }
}
