/** A question to whoever stands in front of the gear, and the tone that plays meanwhile. */
import type { Question } from '../../../calibration/procedures/procedure.js';
import type { CalibrationReading } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import type { NewsFeed } from './news-feed.js';

export class Questions {
  readonly #feed: Pick<NewsFeed, 'tell'>;
  #count = 0;
  #open: { number: number; question: Question; answer(value: number): void } | null = null;

  constructor(feed: Pick<NewsFeed, 'tell'>) {
    this.#feed = feed;
  }

  /**
   * @param play until its signal ends it
   * @throws what `play` throws, or the signal's reason
   */
  async ask(question: Question, play: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<number> {
    const number = ++this.#count;
    const over = new AbortController();
    let failed: unknown;
    const playing = play(AbortSignal.any([signal, over.signal])).catch((error: unknown) => {
      failed = error;
      over.abort();
    });
    try {
      return await new Promise<number>((resolve, reject) => {
        const end = () => reject(signal.aborted ? signal.reason : failed);
        this.#open = { number, question, answer: resolve };
        AbortSignal.any([signal, over.signal]).addEventListener('abort', end, { once: true });
        if (signal.aborted) end();
        else this.#feed.tell({ news: 'question', question: number, ...question });
      });
    } finally {
      this.#open = null;
      over.abort();
      await playing;
    }
  }

  /** @throws OutboardError calibration.answer; the question stays open then */
  answer({ question: number, value }: Pick<CalibrationReading, 'question' | 'value'>): void {
    const open = this.#open;
    if (open?.number !== number) {
      const asked = open === null ? 'nothing is asked now' : `question ${open.number} is`;
      throw new OutboardError('calibration.answer', `question ${number} is not open: ${asked}`, {
        details: { question: number, open: open?.number ?? null },
      });
    }
    const { unit, allowed } = open.question;
    const [least, most] = allowed;
    if (!(value >= least && value <= most))
      throw new OutboardError(
        'calibration.answer',
        `${value} ${unit} cannot be: it is ${least.toPrecision(3)} to ${most.toPrecision(3)} ${unit}; look at the meter's range and at the cable`,
        { details: { question: number, value, unit, allowed } },
      );
    this.#feed.tell({ news: 'answered', question: number, value });
    open.answer(value);
  }
}
