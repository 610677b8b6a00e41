/** Where the client writes what it did: the shape of pino, so that a program hands in the logger it already has. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const nothing = (): void => {};

/** For a library's user who wants no log. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
