/**
 * Messages that came in and are not acknowledged yet.
 *
 * mqtt.js hands over one message at a time and reads nothing else, not even the answer to its ping, until it is released. So the
 * message is released at once, its handler runs beside others, and the PUBACK is sent by hand when the handler is done: in the order
 * of arrival, as MQTT wants it [MQTT-4.6.0-2]. How many may be open is told to an MQTT 5 broker as Receive Maximum. Where a broker
 * sends more than that (3.1.1 has no such limit), reading pauses for a moment; if no room comes, the rest stays unacknowledged, and
 * the session is renewed once there is room, so that the broker sends it again. Memory is bounded in every case.
 */

export interface InboundMessage {
  topic: string;
  payload: Buffer;
  retain: boolean;
  qos: 0 | 1 | 2;
  dup: boolean;
}

/** Resolving acknowledges the message; rejecting leaves it with the broker. The signal ends with the connection. */
export type InboundHandler = (message: InboundMessage, signal: AbortSignal) => Promise<void>;

export interface InboundWindowOptions {
  /** Messages open at the same time. */
  size: number;
  /** How long reading may pause for room; well below the keep-alive. */
  holdMs: number;
  handler: InboundHandler;
  signal: AbortSignal;
  /** Sends a PUBACK. */
  acknowledge(messageId: number): void;
  /** There is room again, but messages were left with the broker. */
  renew(): void;
}

interface Open {
  messageId: number | null;
  state: 'running' | 'done' | 'left';
}

export class InboundWindow {
  readonly #options: InboundWindowOptions;
  readonly #open: Open[] = [];
  #running = 0;
  #waiting: (() => void) | null = null;
  #overflowed = false;

  constructor(options: InboundWindowOptions) {
    this.#options = options;
  }

  /** @param release lets mqtt.js read on; it sends no PUBACK of its own when it is given an error */
  take(message: InboundMessage, messageId: number | null, release: () => void): void {
    if (this.#overflowed || this.#options.signal.aborted) return release();
    if (this.#running < this.#options.size) {
      this.#run(message, messageId);
      return release();
    }
    const timer = setTimeout(() => {
      this.#waiting = null;
      this.#overflowed = true;
      release();
    }, this.#options.holdMs);
    this.#waiting = () => {
      clearTimeout(timer);
      this.#waiting = null;
      if (!this.#options.signal.aborted) this.#run(message, messageId);
      release();
    };
  }

  /** The connection is gone: nobody waits for room any more. */
  close(): void {
    this.#overflowed = true;
    this.#waiting?.();
  }

  #run(message: InboundMessage, messageId: number | null): void {
    const entry: Open = { messageId, state: 'running' };
    this.#running += 1;
    this.#open.push(entry);
    this.#options.handler(message, this.#options.signal).then(
      () => this.#settle(entry, 'done'),
      () => this.#settle(entry, 'left'),
    );
  }

  #settle(entry: Open, state: 'done' | 'left'): void {
    entry.state = state;
    this.#running -= 1;
    while (this.#open[0] && this.#open[0].state !== 'running') {
      const first = this.#open.shift()!;
      if (first.state === 'done' && first.messageId !== null && !this.#options.signal.aborted)
        this.#options.acknowledge(first.messageId);
    }
    this.#waiting?.();
    if (this.#overflowed && this.#running === 0 && !this.#options.signal.aborted) this.#options.renew();
  }
}
