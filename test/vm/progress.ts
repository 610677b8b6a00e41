/** What the run is doing, for people: a bar on a terminal, a line now and then elsewhere. Durations are known from earlier runs only roughly. */
import { performance } from 'node:perf_hooks';

const BAR_WIDTH = 24;
const TERMINAL_EVERY_MS = 500;
const PLAIN_EVERY_MS = 30_000;

export class Progress {
  readonly #terminal = process.stderr.isTTY === true;
  readonly #startMs = performance.now();
  #label = '';
  #fraction: () => number = () => 0;
  #stageStartMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Begins a stage that takes about so long. */
  stage(label: string, expectedSeconds: number): void {
    this.#begin(label, () => this.stageSeconds / expectedSeconds);
  }

  /** Begins a stage that counts what is done. */
  counting(label: string, total: number, done: () => number): void {
    this.#begin(label, () => done() / total);
  }

  /** Ends the stage. @returns how long it took */
  end(remark = ''): number {
    clearInterval(this.#timer);
    if (!this.#label) return 0;
    const seconds = this.stageSeconds;
    this.#clear();
    process.stderr.write(`${this.#clock()} ${this.#label}: ${seconds.toFixed(0)} s${remark ? `, ${remark}` : ''}\n`);
    this.#label = '';
    return seconds;
  }

  /** A line of the result, above the bar. */
  line(text: string): void {
    this.#clear();
    process.stdout.write(`${text}\n`);
    this.#draw();
  }

  get totalSeconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  get stageSeconds(): number {
    return (performance.now() - this.#stageStartMs) / 1000;
  }

  #begin(label: string, fraction: () => number): void {
    if (this.#label) this.end();
    this.#label = label;
    this.#fraction = fraction;
    this.#stageStartMs = performance.now();
    if (!this.#terminal) this.#plain();
    this.#timer = setInterval(
      () => (this.#terminal ? this.#draw() : this.#plain()),
      this.#terminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS,
    );
    this.#timer.unref();
  }

  #plain(): void {
    const since = this.stageSeconds < 1 ? '' : `, for ${this.stageSeconds.toFixed(0)} s`;
    process.stderr.write(`${this.#clock()} ${this.#label}${since} …\n`);
  }

  #draw(): void {
    if (!this.#terminal || !this.#label) return;
    // A stage that takes longer than it did elsewhere is not at its end.
    const full = Math.round(Math.min(0.97, Math.max(0, this.#fraction())) * BAR_WIDTH);
    const bar = '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full);
    process.stderr.write(`\r\x1b[K${this.#clock()} ${bar} ${this.#label} ${this.stageSeconds.toFixed(0)} s`);
  }

  #clear(): void {
    if (this.#terminal) process.stderr.write('\r\x1b[K');
  }

  #clock(): string {
    const seconds = Math.floor(this.totalSeconds);
    return `[${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}]`;
  }
}
