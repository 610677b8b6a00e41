/**
 * An open serial port. `serialport` opens it, sets the line up and tells when it can be read; the bytes themselves go and come here, in calls that
 * never wait. Through its threads, as its streams do it, each command and each answer would find the CPU twice: about half a millisecond, as
 * long as two bytes take at 38400 baud.
 */
import { readSync, writeSync } from 'node:fs';
import { SerialPort } from 'serialport';

export interface LineOptions {
  path: string;
  baudRate: number;
  dataBits: 7 | 8;
  parity: 'none' | 'even' | 'odd';
  stopBits: 1 | 2;
  rtscts: boolean;
  xon: boolean;
  xoff: boolean;
  hupcl: boolean;
  lock: boolean;
}

/** The driver's port on a Unix: a file, and who tells when there is something to read. */
type UnixPort = Extract<Awaited<ReturnType<typeof SerialPort.binding.open>>, { poller: unknown }>;

/** Bytes of one reading: what is behind them waits in the kernel, whose buffer is bounded. */
const READ_BYTES = 4096;

export interface PortListener {
  data(bytes: Uint8Array): void;
  /** Called at most once, and not after `close`. */
  lost(error: Error): void;
}

export class OpenPort {
  readonly #port: UnixPort;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** Bytes that the kernel did not take at once are under way in a thread. */
  #backlog: Promise<void> | undefined;

  private constructor(port: UnixPort, fd: number) {
    this.#port = port;
    this.#fd = fd;
  }

  /** @throws what the driver says, in its words */
  static async open(options: LineOptions): Promise<OpenPort> {
    const port = await SerialPort.binding.open(options);
    if ('poller' in port && port.fd !== null) return new OpenPort(port, port.fd);
    await port.close();
    throw new Error(`there are no serial ports on ${process.platform}`);
  }

  /** Delivers what comes, until the port is closed or lost. */
  listen(listener: PortListener): void {
    this.#port.poller.once('readable', (error: Error | null) => {
      if (!this.#port.isOpen) return;
      let count: number | undefined;
      try {
        if (error) throw error;
        count = unlessWaiting(() => readSync(this.#fd, this.#buffer));
        // A terminal that has hung up reads so for ever.
        if (count === 0) throw new Error('the port has hung up');
      } catch (cause) {
        return listener.lost(cause instanceof Error ? cause : new Error(String(cause)));
      }
      // Not before the next command is out: it may wait for these bytes.
      setImmediate(() => this.#port.isOpen && this.listen(listener));
      if (count !== undefined) listener.data(this.#buffer.slice(0, count));
    });
  }

  /** Hands bytes to the kernel, behind those before them. Resolves when it has them. @throws what the system says when the port is gone */
  async write(bytes: Uint8Array): Promise<void> {
    const taken = this.#backlog === undefined ? (unlessWaiting(() => writeSync(this.#fd, bytes)) ?? 0) : 0;
    if (taken === bytes.length) return;
    const rest = Buffer.from(bytes.subarray(taken));
    const backlog = (this.#backlog ?? Promise.resolve()).then(() => this.#port.write(rest));
    this.#backlog = backlog;
    try {
      await backlog;
    } finally {
      if (this.#backlog === backlog) this.#backlog = undefined;
    }
  }

  /** Throws away what was not sent: it would be waited for, and is nobody's any more. May be called twice. */
  async close(): Promise<void> {
    if (!this.#port.isOpen) return;
    await this.#port.flush().catch(() => undefined);
    if (this.#port.isOpen) await this.#port.close();
  }
}

/** Undefined where the call would have had to wait. */
function unlessWaiting(call: () => number): number | undefined {
  try {
    return call();
  } catch (error) {
    if (['EAGAIN', 'EINTR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
