/** Ctrl-C and SIGTERM as one AbortSignal, so that a command can put away what it had begun; the second Ctrl-C does not wait. */

let controller: AbortController | undefined;

/** Exit status of a command that was interrupted, as shells count it (128 + SIGINT). */
export const INTERRUPTED_EXIT = 130;

/** The same of a command whose output nobody reads any more (128 + SIGPIPE). */
export const UNREAD_EXIT = 141;

export function interruptSignal(): AbortSignal {
  if (controller) return controller.signal;
  controller = new AbortController();
  const made = controller;
  // `once`: after the first signal the default action is back, which ends the process at once.
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => made.abort(new Error(`ended by ${name}`)));
  return made.signal;
}

/** Ends the command as a signal would; false where it has begun nothing that it would have to put away. */
export function interrupt(why: string): boolean {
  controller?.abort(new Error(why));
  return controller !== undefined;
}

export function wasInterrupted(): boolean {
  return controller?.signal.aborted ?? false;
}
