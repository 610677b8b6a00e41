/**
 * The native half of naudiodon, loaded without its JavaScript half: that one installs a handler which writes `crash.log` and needs a
 * second native module. Its calls promise what the streams on top of them only say in passing.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export interface ListedDevice {
  name: string;
  maxInputChannels: number;
  maxOutputChannels: number;
  defaultSampleRate: number;
}

export interface DirectionOptions {
  deviceId: number;
  sampleRate: number;
  channelCount: number;
  sampleFormat: 24;
  maxQueue: number;
  framesPerBuffer: number;
  closeOnError: true;
}

export interface NativeStream {
  /** @throws Error with PortAudio's words */
  start(): void;
  /** Waits, on a thread of the pool, for so many bytes. `err` stands in place of the bytes, which are then lost. */
  read(bytes: number): Promise<{ err?: string; buf?: Buffer; finished?: boolean }>;
  /** Waits, on a thread of the pool, for room in the queue; copies the bytes first. Resolves with PortAudio's status, if any. */
  write(bytes: Buffer): Promise<string | undefined>;
  /** Plays what is queued and closes the device. On a device that is gone it never settles. */
  quit(how: 'WAIT'): Promise<void>;
}

export interface NativeBinding {
  /** Opens every device that PortAudio finds; the index in the list is the id. */
  getDevices(): ListedDevice[];
  /** Opens the device; it plays after `start`. Blocks for a second where it is busy. @throws Error with PortAudio's words */
  create(options: { inOptions: DirectionOptions; outOptions: DirectionOptions }): NativeStream;
}

const require = createRequire(import.meta.url);

/** The file of the native module, or null where the package is not installed or was not built. */
export function bindingFile(): string | null {
  try {
    const file = join(dirname(require.resolve('naudiodon/package.json')), 'build/Release/naudiodon.node');
    return existsSync(file) ? file : null;
  } catch {
    return null;
  }
}

/** Only for the child process: PortAudio prints, blocks and aborts. @throws Error where there is none, or where it does not load */
export function loadBinding(): NativeBinding {
  const file = bindingFile();
  if (file === null) throw new Error('naudiodon is not installed');
  return require(file) as NativeBinding;
}
