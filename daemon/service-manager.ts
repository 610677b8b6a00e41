/**
 * What the service manager is told: sd_notify(3) and sd_watchdog_enabled(3). Without NOTIFY_SOCKET nobody is told anything.
 *
 * A ping on a timer alone would prove no more than that the event loop turns. Here the process is asked first, and a process that does not
 * find itself well is not pinged for: the service manager ends it and starts it anew.
 */
import { asOutboardError, OutboardError } from '../core/errors.js';
import type { Logger } from './log.js';

/** What a process says of itself. */
export interface Pulse {
  /** One line for `systemctl status`. */
  status: string;
  /** False when only a new process can help. A broken device, broker or network is no reason: it is waited for. */
  well: boolean;
}

export interface ServiceManager {
  /** Whether anybody listens. */
  readonly listening: boolean;
  /** The process has started. From here on its pulse is asked for and told, often enough for the watchdog. */
  ready(pulse: () => Pulse): void;
  /** The process ends; nothing is said after this. */
  stopping(): void;
}

/** How often the status is told where no watchdog waits. */
const STATUS_EVERY_MS = 10_000;
/** Pings for each of the watchdog's periods: one may be late and one may be lost. */
const PINGS = 3;

/** @throws OutboardError internal when somebody listens and the datagrams cannot be sent: an addon built for another Node.js */
export async function serviceManager(env: NodeJS.ProcessEnv, log: Logger): Promise<ServiceManager> {
  const socket = env['NOTIFY_SOCKET'];
  if (!socket) return { listening: false, ready: () => undefined, stopping: () => undefined };
  const tell = await teller(socket, log);
  const watchdogMs = watchdogOf(env);
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  let said = '';
  let complained = false;

  const beat = (pulse: () => Pulse): void => {
    const { status, well } = pulse();
    const lines: string[] = [];
    if (status !== said) lines.push(`STATUS=${oneLine(status)}`);
    said = status;
    if (well && watchdogMs !== null) lines.push('WATCHDOG=1');
    if (!well && !complained)
      log.fatal({ status }, 'this process is not well: the service manager is left without a sign of life');
    complained = !well;
    if (lines.length > 0) tell(lines);
  };
  return {
    listening: true,
    ready: (pulse) => {
      if (ended || timer) return;
      tell(['READY=1']);
      beat(pulse);
      const everyMs = watchdogMs === null ? STATUS_EVERY_MS : Math.max(1, watchdogMs / PINGS);
      timer = setInterval(() => beat(pulse), Math.min(everyMs, STATUS_EVERY_MS));
      timer.unref();
    },
    stopping: () => {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      tell(['STOPPING=1', 'STATUS=stopping']);
    },
  };
}

/** The watchdog's period in milliseconds; null where there is none for this process. */
function watchdogOf(env: NodeJS.ProcessEnv): number | null {
  const microseconds = Number(env['WATCHDOG_USEC']);
  const pid = env['WATCHDOG_PID'];
  if (!(microseconds > 0) || (pid !== undefined && Number(pid) !== process.pid)) return null;
  return microseconds / 1000;
}

/** Node.js has no unix datagram sockets. A socket for each message: an open one would hold the event loop. */
async function teller(socket: string, log: Logger): Promise<(lines: readonly string[]) => void> {
  // Its name in sun_path would begin with NUL, which the library cannot write; systemd itself listens on a path.
  if (!socket.startsWith('/'))
    throw new OutboardError('internal', `NOTIFY_SOCKET is ${socket}: only a path can be told anything`);
  const { createSocket } = await import('unix-dgram').catch((cause) => {
    throw new OutboardError(
      'internal',
      `unix-dgram cannot be loaded (${asOutboardError(cause).message}): npm rebuild unix-dgram`,
      {
        cause,
      },
    );
  });
  return (lines) => {
    const data = Buffer.from(`${lines.join('\n')}\n`);
    try {
      const datagram = createSocket('unix_dgram');
      datagram.on('error', () => undefined);
      try {
        datagram.send(data, 0, data.length, socket, (error) => {
          if (error) log.warn({ err: error }, 'the service manager could not be told');
        });
      } finally {
        datagram.close();
      }
    } catch (error) {
      log.warn({ err: error }, 'the service manager could not be told');
    }
  };
}

/** A line break would begin another variable. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}
