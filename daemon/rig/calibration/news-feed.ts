/** What a run tells of itself, for any number of listeners; who comes late hears where it stands. */
import type { CalibrationNews } from '../../../core/contract/index.js';

/** Somebody who listens hears something this often, so that a silent line means a dead one. */
const ALIVE_MS = 10_000;

type Step = Extract<CalibrationNews, { news: 'step' }>;

export class NewsFeed {
  readonly #listeners = new Set<(news: CalibrationNews) => void>();
  #step: Step = { news: 'step', label: 'starting', fraction: 0 };
  /** What a newcomer must know. */
  #open: CalibrationNews | null = null;
  #over: CalibrationNews | null = null;

  tell(news: CalibrationNews): void {
    if (news.news === 'step') this.#step = news;
    else if (news.news === 'question') this.#open = news;
    else if (news.news === 'answered') this.#open = null;
    else if (isLast(news)) this.#over = news;
    for (const listener of this.#listeners) listener(news);
  }

  /** Everything from now on, until the run is over or the signal ends it. A slow listener misses live views, and nothing else. */
  async *listen(signal: AbortSignal): AsyncGenerator<CalibrationNews, void, undefined> {
    const waiting: CalibrationNews[] = this.#over ? [this.#over] : [this.#step, ...(this.#open ? [this.#open] : [])];
    let wake = (): void => undefined;
    const hear = (news: CalibrationNews): void => {
      if (news.news === 'live' && waiting.at(-1)?.news === 'live') waiting.pop();
      waiting.push(news);
      wake();
    };
    const end = (): void => wake();
    this.#listeners.add(hear);
    signal.addEventListener('abort', end, { once: true });
    try {
      while (!signal.aborted) {
        const news = waiting.shift();
        if (news) {
          yield news;
          if (isLast(news)) return;
          continue;
        }
        let timer: NodeJS.Timeout | undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
          timer = setTimeout(() => hear(this.#step), ALIVE_MS);
        });
        clearTimeout(timer);
      }
    } finally {
      this.#listeners.delete(hear);
      signal.removeEventListener('abort', end);
    }
  }
}

function isLast({ news }: CalibrationNews): boolean {
  return news === 'over' || news === 'failed';
}
