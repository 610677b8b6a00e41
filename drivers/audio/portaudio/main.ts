/**
 * The child process in which naudiodon runs: it blocks its event loop, prints, aborts, and hangs on a device that is gone. Killing the
 * process is the only thing that always helps, so the parent does that and this process keeps nothing that would be missed.
 *
 * It obeys the commands of protocol.ts on descriptor 3 and ends when that is closed.
 */
import { readdirSync } from 'node:fs';
import { Socket } from 'node:net';
import { setPriority } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { SampleDecoder } from '../wav-decode.js';
import { encodeFrames } from '../wav-writer.js';
import { type ListedDevice, loadBinding, type NativeBinding } from './binding.js';
import {
  ChunkFrame,
  type Command,
  FrameReader,
  jsonFrame,
  type Opened,
  type OpenRequest,
  type Refusal,
  type Reply,
  type Said,
} from './protocol.js';
import { Pump } from './pump.js';
import { StatusWatch } from './status-watch.js';

const LOOK_MS = 100;
const ALIVE_MS = 250;
/** More than any port names; plugins promise thousands. */
const MAX_CHANNELS = 128;
const SAMPLE_FORMAT = 24;
const SPARE_FRAMES = 4;
const NICE = -15;
const KERNEL_CARDS = new URL('../../../../drivers/audio/portaudio/asound-hw.conf', import.meta.url);
const ABSENT_CARD = new URL('../../../../drivers/audio/portaudio/asound-absent.conf', import.meta.url);

const socket = new Socket({ fd: 3 });
const decoder = new SampleDecoder('pcm24');

class Refused extends Error {
  readonly why: Refusal;

  constructor(why: Refusal, message: string) {
    super(message);
    this.why = why;
  }
}

let binding: NativeBinding;
let pump: Pump | null = null;
let opened: Opened = { rate: 0, inChannels: 0, outChannels: 0 };
let chunkFrames = 0;
let backlogChunks = 0;
/** Frames that the socket has taken, to be filled again. */
let spare: ChunkFrame[] = [];
let waiting = 0;

function tell(message: Said): void {
  socket.write(jsonFrame(message));
}

function find(devices: ListedDevice[], wanted: string, side: 'maxInputChannels' | 'maxOutputChannels'): number {
  const id = devices.findIndex((device) => device.name.endsWith(wanted) && device[side] > 0);
  if (id < 0) throw new Refused('absent', `PortAudio lists no device ${wanted} (${side}: 0)`);
  return id;
}

async function open(request: OpenRequest): Promise<Opened> {
  const before = pump;
  pump = null;
  await before?.end();
  const devices = binding.getDevices();
  const capture = find(devices, request.capture, 'maxInputChannels');
  const playback = find(devices, request.playback, 'maxOutputChannels');
  const { maxInputChannels } = devices[capture]!;
  const { maxOutputChannels, defaultSampleRate } = devices[playback]!;
  const next: Opened = {
    rate: request.rate ?? defaultSampleRate,
    inChannels: request.inChannels ?? Math.min(maxInputChannels, MAX_CHANNELS),
    outChannels: request.outChannels ?? Math.min(maxOutputChannels, MAX_CHANNELS),
  };
  if (next.inChannels > maxInputChannels || next.outChannels > maxOutputChannels) {
    throw new Refused('format', `it has ${maxInputChannels} inputs and ${maxOutputChannels} outputs`);
  }
  const both = {
    sampleRate: next.rate,
    sampleFormat: SAMPLE_FORMAT,
    maxQueue: request.queueChunks,
    framesPerBuffer: request.chunkFrames,
    closeOnError: true,
  } as const;
  const watch = new StatusWatch({ playback: request.playbackProc, capture: request.captureProc });
  try {
    const stream = binding.create({
      inOptions: { ...both, deviceId: capture, channelCount: next.inChannels },
      outOptions: { ...both, deviceId: playback, channelCount: next.outChannels },
    });
    opened = next;
    chunkFrames = request.chunkFrames;
    spare = [];
    const made = new Pump({
      stream,
      opened: next,
      chunkFrames,
      watch,
      onChunk: send,
      onMissed: (index) => tell({ say: 'missed', index }),
      onFault: (kind, frames, detail) => tell({ say: 'fault', kind, frames, detail }),
    });
    made.start();
    pump = made;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Refused(/unavailable|host error/i.test(message) ? 'device' : 'format', message);
  }
  return next;
}

/** Passes a captured chunk on. With too many waiting it is left out, and the parent sees the gap in the numbers. */
function send(index: number, timeNs: bigint, packed: Buffer): void {
  if (waiting >= backlogChunks) return;
  const count = chunkFrames * opened.inChannels;
  const frame = spare.pop() ?? new ChunkFrame(count);
  frame.stamp(index, timeNs);
  decoder.decodeWords(packed, 0, count, frame.samples, 0);
  waiting++;
  const use = spare;
  socket.write(frame.bytes, () => {
    waiting--;
    if (use === spare && spare.length < SPARE_FRAMES) spare.push(frame);
  });
}

async function obey(command: Command): Promise<Omit<Extract<Reply, { ok: true }>, 'id' | 'ok'>> {
  switch (command.do) {
    case 'open':
      return { opened: await open(command.open) };
    case 'run':
      if (pump === null) throw new Refused('device', 'no stream is open');
      if (pump.dirty) throw new Refused('dirty', 'the stream has lost frames since it was opened');
      backlogChunks = command.backlogChunks;
      return { firstFrameNs: String(pump.run()) };
    case 'idle':
      pump?.idle();
      return {};
  }
}

async function carryOut(command: Command): Promise<void> {
  try {
    tell({ id: command.id, ok: true, ...(await obey(command)) });
  } catch (error) {
    const why = error instanceof Refused ? error.why : 'device';
    tell({ id: command.id, ok: false, why, message: error instanceof Error ? error.message : String(error) });
  }
}

/** `process.exit` waits for PortAudio's threads, which may wait for ever. */
function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

/**
 * Before others where the system lets us (LimitNICE=, root). Not in real time: a device that is gone has PortAudio spin, and nothing would
 * be left for the parent that has to end it. Threads that are made later inherit it, those of the pool are there already.
 */
function hurry(): void {
  try {
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), NICE);
  } catch {
    // Then it competes like everybody else.
  }
}

function main(): void {
  hurry();
  const given = process.env['ALSA_CONFIG_PATH'] ?? fileURLToPath(KERNEL_CARDS);
  process.env['ALSA_CONFIG_PATH'] = `${given}:${fileURLToPath(ABSENT_CARD)}`;
  // The service manager tells the whole group to stop; whether we stop is the parent's word.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  binding = loadBinding();

  // One command after the other; chunks are taken at once.
  let last = Promise.resolve();
  const reader = new FrameReader({
    json: (message) => {
      const command = message as Command;
      // A command that hangs in PortAudio is not to hold up the silence.
      if (command.do === 'idle') pump?.idle();
      last = last.then(() => carryOut(command));
    },
    chunk: (index, _timeNs, samples) => {
      pump?.put(index, Buffer.from(encodeFrames(samples, 'pcm24').buffer));
    },
  });
  socket.on('data', (piece: Buffer) => reader.push(piece));
  socket.on('close', die);
  socket.on('error', die);
  setInterval(() => pump?.look(), LOOK_MS);
  setInterval(() => tell({ say: 'alive' }), ALIVE_MS);
  tell({ say: 'hello' });
}

main();
