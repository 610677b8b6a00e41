/**
 * What takes leave behind in a stream when they end: sends that are ramping down for some frames yet, which the next take on them must
 * not cut into; and frames that a failed take had not written, whose fault may be told of after its end and is nobody else's.
 */
import type { Exposure } from './faults.js';

export class Aftermath {
  readonly #quietFrom = new Map<number, number>();
  #abandoned: Exposure[] = [];

  /** @param quietFrom the frame from which on all sends of the take are silent */
  add(sends: readonly number[], quietFrom: number, abandoned: Exposure['lanes']): void {
    for (const send of sends) this.#quietFrom.set(send, Math.max(quietFrom, this.#quietFrom.get(send) ?? 0));
    if (abandoned.length > 0) this.#abandoned.push({ lanes: abandoned, captures: [] });
  }

  /** The frame from which on these sends are silent. */
  quietFrom(sends: readonly number[]): number {
    return Math.max(0, ...sends.map((send) => this.#quietFrom.get(send) ?? 0));
  }

  /** The frame from which on every send is silent. */
  get allQuietFrom(): number {
    return Math.max(0, ...this.#quietFrom.values());
  }

  /** Missing frames that are accounted for. */
  get abandoned(): readonly Exposure[] {
    return this.#abandoned;
  }

  /** Forgets missing frames of before `frame`: no driver tells of them any more. */
  forgetBefore(frame: number): void {
    this.#abandoned = this.#abandoned.filter(({ lanes }) => lanes.some(({ to }) => to > frame));
  }
}
