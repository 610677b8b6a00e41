/** A job as its dispatcher sees it: the events of one id, in the order in which they came, each once. */
import { type EventPayload, type EventType, FINAL_EVENTS } from '../core/contract/event.js';
import type { OutboardError } from '../core/errors.js';

export interface JobEvent {
  payload: EventPayload;
  /** The event as the rig signed it; of the sealed result it is the certificate. */
  token: string;
}

export function isFinal(type: EventType): boolean {
  return FINAL_EVENTS.includes(type);
}

export class OfferedJob {
  readonly id: string;
  readonly rig: string;
  /** The offer as it was signed; null when the job is only followed. */
  readonly token: string | null;
  readonly #past: JobEvent[] = [];
  readonly #listeners = new Set<() => void>();
  #error: OutboardError | null = null;

  constructor(id: string, rig: string, token: string | null) {
    this.id = id;
    this.rig = rig;
    this.token = token;
  }

  /** `accepted` or `refused`, or a later event when the offer was known already. Rejects with bounce.timeout when none came in time. */
  get verdict(): Promise<JobEvent> {
    return this.#first((event) => event.payload.type !== 'progress');
  }

  /** `closed`, `refused`, `failed`, `cancelled` or `expired`. */
  get final(): Promise<JobEvent> {
    return this.#first((event) => isFinal(event.payload.type));
  }

  /** The first event of one of these types, or the final one if that comes first. */
  until(...types: EventType[]): Promise<JobEvent> {
    return this.#first(({ payload }) => types.includes(payload.type) || isFinal(payload.type));
  }

  /** Like `until`, but only what comes from now on counts. */
  next(...types: EventType[]): Promise<JobEvent> {
    const known = new Set(this.#past);
    return this.#first(
      (event) => !known.has(event) && (types.includes(event.payload.type) || isFinal(event.payload.type)),
    );
  }

  /** All events from the first on, progress that is past left out; ends after the final one. */
  async *events(): AsyncGenerator<JobEvent, void, undefined> {
    for (let index = 0; ; index += 1) {
      while (index >= this.#past.length) {
        if (this.#error) throw this.#error;
        await this.#change();
      }
      const event = this.#past[index]!;
      yield event;
      if (isFinal(event.payload.type)) return;
    }
  }

  /** The events so far, oldest first. */
  get past(): readonly JobEvent[] {
    return this.#past;
  }

  /** @internal An event came in. */
  push(event: JobEvent): void {
    // Progress says nothing that a later one does not: only the newest is kept.
    const last = this.#past.at(-1);
    if (event.payload.type === 'progress' && last?.payload.type === 'progress' && this.#listeners.size === 0)
      this.#past.pop();
    this.#past.push(event);
    this.#changed();
  }

  /** @internal Nothing more will come. */
  fail(error: OutboardError): void {
    this.#error ??= error;
    this.#changed();
  }

  async #first(wanted: (event: JobEvent) => boolean): Promise<JobEvent> {
    for (;;) {
      const found = this.#past.find(wanted);
      if (found) return found;
      if (this.#error) throw this.#error;
      await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#listeners.add(resolve));
  }

  #changed(): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
