/**
 * A unit on a serial line. Everything that can be the end of the link is one: the driver's close, an error, a failed write, and a port that is
 * no longer the one that was opened. The last is watched for, because a terminal that was unplugged reads as "nothing yet" for ever.
 */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { delay, within } from '../../core/duration.js';
import { OutboardError } from '../../core/errors.js';
import { type LineOptions, OpenPort } from './serial-port.js';
import type { Link, LinkListener, Transport } from './transport.js';
import { serialBytesPerSecond, WirePace } from './wire-pace.js';

export interface SerialSettings {
  /** Absolute; a name that udev keeps stable, where there is one. */
  path: string;
  baud: number;
  /** Data bits, parity, stop bits, as in 8N1. */
  format: string;
  flow: 'none' | 'xonxoff' | 'rtscts';
  /** How long the unit starts up after its port was opened, ms; 0 when absent. What it says meanwhile is dropped. */
  bootMs?: number;
}

/** How often the port is looked for. An unplugged one is found by this, where the driver says nothing. */
const WATCH_MS = 500;
/** Closing a port can wait for a cable that is not there: nobody waits longer than this for it. */
const CLOSE_MS = 2000;

/** Opens nothing yet. */
export function createSerialTransport(settings: SerialSettings): Transport {
  const { path, baud, format } = settings;
  return {
    description: `${path} at ${baud} baud ${format}`,
    open: (listener, signal) => open(settings, listener, signal),
  };
}

/** @throws OutboardError processor.port: there is none, another program holds it, or it may not be opened */
async function open(settings: SerialSettings, listener: LinkListener, signal: AbortSignal): Promise<Link> {
  signal.throwIfAborted();
  const { path, bootMs = 0 } = settings;
  const device = await deviceAt(path);
  const port = await OpenPort.open(lineOptions(settings)).catch((cause: Error) => {
    throw portError(reasonOf(cause, path), path, cause);
  });
  const link = new SerialLink(port, settings, device, listener);
  link.watch();
  try {
    await keepTerminalReady(path);
    // Opening raises DTR, at which many units restart.
    if (bootMs > 0) await link.starting(bootMs, signal);
    signal.throwIfAborted();
    link.listen();
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** What tells a device from another one that has taken its name: an adapter that is plugged in again is a new one. */
interface DeviceIdentity {
  readonly rdev: number;
  readonly ino: number;
}

async function deviceAt(path: string): Promise<DeviceIdentity> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch (cause) {
    const there = await readdir(dirname(path)).catch(() => []);
    const others = path.startsWith('/dev/serial/') && there.length > 0 ? `; there is ${there.join(', ')}` : '';
    throw portError(`there is no ${path}${others}`, path, cause);
  }
  if (!found.isCharacterDevice()) throw portError(`${path} is no serial port`, path);
  return { rdev: found.rdev, ino: found.ino };
}

function portError(message: string, path: string, cause?: unknown): OutboardError {
  return new OutboardError('processor.port', message, { cause, details: { port: path } });
}

function lineOptions({ path, baud, format, flow }: SerialSettings): LineOptions {
  const [data, parity, stop] = format;
  return {
    path,
    baudRate: baud,
    dataBits: data === '7' ? 7 : 8,
    parity: parity === 'E' ? 'even' : parity === 'O' ? 'odd' : 'none',
    stopBits: stop === '2' ? 2 : 1,
    rtscts: flow === 'rtscts',
    xon: flow === 'xonxoff',
    xoff: flow === 'xonxoff',
    hupcl: false,
    lock: true,
  };
}

/**
 * Clears HUPCL: without it closing the port drops DTR, and the next opening raises it again and restarts the unit. serialport's `hupcl: false`
 * leaves the flag as it finds it, and Linux sets it on every new terminal.
 */
async function keepTerminalReady(path: string): Promise<void> {
  try {
    await promisify(execFile)('stty', ['-F', path, '-hupcl'], { timeout: 5000 });
  } catch (cause) {
    throw portError(`${path}: stty cannot keep DTR up when the port is closed`, path, cause);
  }
}

class SerialLink implements Link {
  readonly #port: OpenPort;
  readonly #settings: SerialSettings;
  readonly #device: DeviceIdentity;
  readonly #listener: LinkListener;
  readonly #pace: WirePace;
  readonly #ended = new AbortController();
  #listening = false;
  #watch: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(port: OpenPort, settings: SerialSettings, device: DeviceIdentity, listener: LinkListener) {
    this.#port = port;
    this.#settings = settings;
    this.#device = device;
    this.#listener = listener;
    this.#pace = new WirePace(serialBytesPerSecond(settings.baud, settings.format));
  }

  /** From now on its end is noticed. */
  watch(): void {
    this.#port.listen({
      data: (bytes) => {
        if (this.#listening) this.#listener.data(bytes);
      },
      lost: (error) => this.#fail(error),
    });
    this.#watchLater();
  }

  /** What came until now is not for the listener. */
  listen(): void {
    this.#listening = !this.#ended.signal.aborted;
  }

  /** Waits for the unit to start up. @throws the reason of the end when the link ends meanwhile */
  async starting(bootMs: number, signal: AbortSignal): Promise<void> {
    await delay(bootMs, AbortSignal.any([signal, this.#ended.signal]));
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#ended.signal.throwIfAborted();
    const leftAtMs = this.#pace.push(bytes.length);
    try {
      await this.#port.write(bytes);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
    return leftAtMs;
  }

  close(): Promise<void> {
    this.#end(new Error('the link was closed'));
    this.#closed ??= this.#shut();
    return this.#closed;
  }

  #fail(error: Error): void {
    if (this.#ended.signal.aborted) return;
    const wasListening = this.#listening;
    this.#end(error);
    this.#closed ??= this.#shut();
    if (wasListening) this.#listener.lost(error);
  }

  #end(error: Error): void {
    this.#listening = false;
    clearTimeout(this.#watch);
    this.#ended.abort(error);
  }

  async #shut(): Promise<void> {
    await within(CLOSE_MS, this.#port.close(), () => new Error('the port does not close')).catch(() => undefined);
  }

  #watchLater(): void {
    if (this.#ended.signal.aborted) return;
    this.#watch = setTimeout(async () => {
      const now = await stat(this.#settings.path).catch(() => undefined);
      if (now?.rdev !== this.#device.rdev || now.ino !== this.#device.ino)
        this.#fail(new Error(`${this.#settings.path} is gone`));
      else this.#watchLater();
    }, WATCH_MS);
    this.#watch.unref();
  }
}

/** What the driver's words mean to a technician. */
function reasonOf(error: Error, path: string): string {
  const { message } = error;
  if (/lock port|temporarily unavailable|Device or resource busy/i.test(message))
    return `${path} is in use by another program`;
  if (/Permission denied/i.test(message))
    return `${path} may not be opened by this user (see systemd/install.sh --tty)`;
  if (/No such device|Input\/output error/i.test(message)) return `there is nothing behind ${path}`;
  return `${path} cannot be opened: ${message}`;
}
