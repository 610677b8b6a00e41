/** What a technician sees of a run while it goes on: on a terminal a picture that is drawn anew, elsewhere a line for each step. */
import { clearScreenDown, moveCursor } from 'node:readline';
import type { CalibrationNews } from '../../core/contract/index.js';
import type { Output } from './output.js';

type Live = Extract<CalibrationNews, { news: 'live' }>;

const BAR_CELLS = 40;
const LOWEST_LEVEL_DBFS = -90;
const LOWEST_LINE_DBFS = -140;
const BLOCKS = ' ▁▂▃▄▅▆▇█';

export class CalibrationView {
  readonly #output: Output;
  readonly #stream: NodeJS.WritableStream & { columns?: number };
  readonly #title: string;
  #step = { label: '', fraction: 0 };
  #live: Live | null = null;
  #drawnLines = 0;
  #asking = false;

  /** @param stream where the picture goes; `output` decides whether there is one */
  constructor(title: string, output: Output, stream: NodeJS.WritableStream & { columns?: number }) {
    this.#title = title;
    this.#output = output;
    this.#stream = stream;
  }

  show(news: CalibrationNews): void {
    if (news.news === 'step') this.#begin(news);
    else if (news.news === 'live') this.#live = news;
    else if (news.news === 'question') this.#ask(news.text);
    else if (news.news === 'answered') this.#asking = false;
    else return this.end();
    if (this.#output.interactive && !this.#asking) this.#draw();
  }

  /** Takes the picture away. May be called twice. */
  end(): void {
    if (this.#drawnLines === 0) return;
    moveCursor(this.#stream, 0, -this.#drawnLines);
    clearScreenDown(this.#stream);
    this.#drawnLines = 0;
  }

  #begin({ label, fraction }: { label: string; fraction: number }): void {
    const isNew = label !== this.#step.label;
    this.#step = { label, fraction };
    if (isNew && !this.#output.interactive) this.#output.note(`${percent(fraction)}  ${this.#title}: ${label}`);
  }

  #ask(text: string): void {
    this.end();
    this.#asking = true;
    this.#output.note(text);
  }

  #draw(): void {
    const lines = this.#lines();
    this.end();
    // A line that wraps would be two, and the picture would climb.
    const width = (this.#stream.columns ?? 80) - 1;
    for (const line of lines) this.#stream.write(`${line.slice(0, width)}\n`);
    this.#drawnLines = lines.length;
  }

  #lines(): string[] {
    const { label, fraction } = this.#step;
    const head = `${this.#title}  ${bar(fraction)} ${percent(fraction)}  ${label}`;
    if (!this.#live) return [head];
    const { levels, spectrum } = this.#live;
    const rows = levels.map(({ rmsDbfs, peakDbfs }, i) => {
      const filled = rmsDbfs === null ? 0 : 1 - rmsDbfs / LOWEST_LEVEL_DBFS;
      return `  ${i + 1}  ${bar(filled)}  ${level(rmsDbfs)} dBFS, peak ${level(peakDbfs)}`;
    });
    if (!spectrum) return [head, ...rows];
    const picture = spectrum.dbfs
      .map((dbfs) => {
        const height = dbfs === null ? 0 : Math.round((1 - dbfs / LOWEST_LINE_DBFS) * (BLOCKS.length - 1));
        return BLOCKS[Math.max(0, Math.min(BLOCKS.length - 1, height))];
      })
      .join('');
    const highest = spectrum.hz.at(-1)!;
    return [
      head,
      ...rows,
      `     ${picture}  channel ${spectrum.channel}, 20 Hz to ${(highest / 1000).toFixed(0)} kHz, ${LOWEST_LINE_DBFS} to 0 dBFS`,
    ];
  }
}

function bar(filled: number): string {
  const cells = Math.max(0, Math.min(BAR_CELLS, Math.round(filled * BAR_CELLS)));
  return '█'.repeat(cells) + '░'.repeat(BAR_CELLS - cells);
}

function percent(fraction: number): string {
  return `${String(Math.round(100 * fraction)).padStart(3)} %`;
}

function level(dbfs: number | null): string {
  return (dbfs === null ? '-inf' : dbfs.toFixed(1)).padStart(6);
}
