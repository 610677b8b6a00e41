/** Waiting that can be aborted. Deadlines use the monotonic clock (performance.now), never the wall clock. */

/** Resolves after `ms`, or rejects with the signal's reason. The timer does not keep the process alive when `unref` is set. */
export function delay(ms: number, signal?: AbortSignal, options: { unref?: boolean } = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(done, ms);
    if (options.unref) timer.unref();
    function done(): void {
      signal?.removeEventListener('abort', stop);
      resolve();
    }
    function stop(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Resolves at `dueMs` on the monotonic clock (performance.now), never before: a timer may fire up to a millisecond early. Rejects with the signal's reason. */
export async function until(dueMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  for (let leftMs = dueMs - performance.now(); leftMs > 0; leftMs = dueMs - performance.now())
    await delay(leftMs, signal);
}

/**
 * Resolves after `ms` in which this process ran, or rejects with the signal's reason: a host that stands still in between uses up a tenth of them at
 * most. For whoever judges another's silence, and must not take his own for it.
 */
export async function awake(ms: number, signal?: AbortSignal): Promise<void> {
  for (let tenth = 0; tenth < 10; tenth++) await delay(ms / 10, signal);
}

/** Rejects with the error that `late` makes when `promise` has not settled within `ms`. */
export async function within<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(late()), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** The promise, or the signal's reason as soon as it is aborted: nobody waits for what is not wanted any more. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const waiting = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const fail = (): void => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true, signal: waiting.signal });
  });
  promise.catch(() => undefined);
  try {
    return await Promise.race([aborted, promise]);
  } finally {
    waiting.abort();
  }
}

/** What is done side by side, all of it or none: the first that fails ends the others, as the signal does. @throws what the first threw */
export async function allOrNone<T extends readonly unknown[] | []>(
  signal: AbortSignal,
  begin: (until: AbortSignal) => T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const failed = new AbortController();
  try {
    return await Promise.all(begin(AbortSignal.any([signal, failed.signal])));
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}

/** Exponential back-off with full jitter: attempt 0, 1, 2 … to milliseconds between half of the step and the step. */
export function backoffMs(attempt: number, baseMs: number, maxMs: number): number {
  const step = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return step / 2 + Math.random() * (step / 2);
}
