/**
 * The port to the wire of one unit: bytes in both directions, and word when it is gone. A link is one opening of it: what an old link
 * still delivers never reaches the conversation on the next one.
 */

export interface LinkListener {
  /** Bytes as they came; any split. */
  data(bytes: Uint8Array): void;
  /** The link is gone: closed, unplugged or failed. Called at most once, and not after `Link.close`. */
  lost(error: Error): void;
}

export interface Link {
  /**
   * Hands bytes over, behind those before them. Resolves, when they were taken, with the time in ms on the monotonic clock (performance.now) at
   * which the last of them has left for the unit. A rejection means that the link is gone.
   */
  write(bytes: Uint8Array): Promise<number>;
  /** May be called twice; nothing is delivered afterwards. */
  close(): Promise<void>;
}

export interface Transport {
  /** For messages: what a person finds at the end of the cable. */
  readonly description: string;
  /** @throws what the operating system said when there is nothing to open */
  open(listener: LinkListener, signal: AbortSignal): Promise<Link>;
}
