/**
 * A process of its own in which the engine rolls stereo takes side by side, each from a file to a file: as the rig does it, without
 * its journal and its processors. What carries the samples is the rig's own code; only the plain files are read and written here.
 *
 * Started with `fork` (roll-takes.ts); it is told what to do in one message and says in messages how far it is.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { openFile, sealToFile } from '../../certs/seal-thread.js';
import { createLogger } from '../../daemon/log.js';
import { Engine } from '../../daemon/rig/engine/engine.js';
import { READ_AHEAD_SECONDS, WRITE_BEHIND_SECONDS } from '../../daemon/rig/engine/file-buffers.js';
import { framesOf, PrefetchSource } from '../../daemon/rig/engine/prefetch-source.js';
import { BufferedSink } from '../../daemon/rig/engine/sample-sink.js';
import type { Take } from '../../daemon/rig/engine/spec.js';
import { createAlsaInterface } from '../../drivers/audio/alsa/alsa.js';
import type { Claim } from '../../drivers/audio/port.js';
import { openWav } from '../../drivers/audio/wav-reader.js';
import { encodeFrames, wavHeader } from '../../drivers/audio/wav-writer.js';
import { threadsOf } from './process-times.js';

export interface RollingOrder {
  /** `delayFrames` is from playback to capture: no driver can know it of a card whose directions are not linked. */
  card: { device: string; procRoot: string; delayFrames: number };
  rate: number;
  /** Stereo; take k has the channels 2k + 1 and 2k + 2. With keys both files are sealed ones. */
  takes: { source: string; result: string }[];
  frames: number;
  keys: { recipient: string; identity: string } | null;
  /** Holds the event loop up, as a long computation would, for so long and so many seconds after the takes began. */
  block: { afterSeconds: number; ms: number } | null;
}

/** Thread ids by what they do. `helpers` are V8's, which collect garbage and compile, and libuv's, which read and write files. */
export interface ThreadGroups {
  main: number[];
  helpers: number[];
  driver: number[];
  sealing: number[];
}

export interface RollingReport {
  /** Everything that the stream reported, also while nothing rolled. */
  faults: string[];
  /** How long the event loop stood, and how far the stream went on in that time. Null where it was not held up. */
  blocked: { ms: number; frames: number } | null;
  /** Of the whole process, from its start to its end. */
  cpuSeconds: number;
}

export type FromRolling =
  | { rolling: ThreadGroups; sinceSeconds: number }
  | { done: RollingReport }
  | { failed: string };

const CHANNELS = 2;
/** Of the main thread: a take's beginning has to be in the ring within 50 ms of its choice, even while our sealing threads start. */
const MAIN_PRIORITY = -10;
const BETWEEN_MS = 100;
const CHUNK_BYTES = 256 * 1024;
/** A virtual machine stands still for tens of milliseconds while its host runs others, now and then for more: this is 170 at 96 kHz. */
const STREAM = { format: 'S32_LE', periodFrames: 1024, periods: 16 } as const;

interface Opened {
  source: PrefetchSource;
  sink: BufferedSink;
  finish(): Promise<void>;
}

async function roll(order: RollingOrder): Promise<RollingReport> {
  const groups: ThreadGroups = { main: [process.pid], helpers: [], driver: [], sealing: [] };
  const known = new Set(groups.main);
  const claimThreads = (group: keyof ThreadGroups): void => {
    for (const tid of threadsOf('self')) if (!known.has(tid)) groups[group].push(tid);
    for (const tid of groups[group]) known.add(tid);
  };
  // libuv starts its threads with the first file.
  await Promise.all(Array.from({ length: 8 }, () => stat('/')));
  claimThreads('helpers');

  const channels = order.takes.length * CHANNELS;
  const claim = await claimOf(order.card);
  const logger = createLogger('rolling-rig', 'error');
  const engine = new Engine({ claim, inChannels: channels, outChannels: channels, logger, stream: STREAM });
  const faults: string[] = [];
  engine.onFault(({ kind, atFrame, frames }) => faults.push(`${kind} at ${atFrame}, ${frames} frames`));
  await engine.start({ rate: order.rate, loopLatencyFrames: order.card.delayFrames });
  claimThreads('driver');

  const opened = await Promise.all(order.takes.map((take) => openTake(take, order)));
  await Promise.all(opened.map(({ source }) => source.ready(order.rate * READ_AHEAD_SECONDS)));
  claimThreads('sealing');
  raisePriority();
  const began = performance.now();
  const rolling: Take[] = [];
  for (const [k, { source, sink }] of opened.entries()) {
    const pair = [2 * k + 1, 2 * k + 2];
    const take = engine.roll({
      channels: CHANNELS,
      hops: [{ insert: `pair-${k + 1}`, sends: pair, returns: pair, latencyFrames: 0, driveDb: 0 }],
      source,
      sink,
      regionFrames: order.frames,
      tailFrames: 0,
      sourceStartFrame: 0,
    });
    rolling.push(take);
    await take.started;
    // Takes of a rig do not begin in the same moment, in which the thread of each that seals would have to warm up too.
    await setTimeout(BETWEEN_MS);
  }
  say({ rolling: groups, sinceSeconds: (performance.now() - began) / 1000 });
  const blocking = order.block ? blockAfter(order.block, claim) : null;
  await Promise.all(rolling.map((take) => take.done));
  for (const { sink, finish } of opened) {
    await sink.drained();
    await finish();
  }
  await engine.stop();
  await claim.close();
  const { user, system } = process.cpuUsage();
  return { faults, blocked: await blocking, cpuSeconds: (user + system) / 1e6 };
}

/** On Linux the priority of this thread alone, and of those that it starts from then on. */
function raisePriority(): void {
  try {
    setPriority(MAIN_PRIORITY);
  } catch {
    // Not everybody may.
  }
}

async function claimOf({ device, procRoot }: RollingOrder['card']): Promise<Claim> {
  return await createAlsaInterface({ procRoot }).claim({ playback: device, capture: device });
}

async function openTake(take: { source: string; result: string }, order: RollingOrder): Promise<Opened> {
  const { rate, frames, keys } = order;
  const bytes = keys ? openFile(take.source, keys.identity) : plainFile(take.source);
  const reader = await openWav(bytes, { expect: { rate, channels: CHANNELS, encoding: 'pcm24', frames } });
  const source = new PrefetchSource({
    reader: framesOf(reader),
    channels: CHANNELS,
    encodingBits: 24,
    region: { start: 0, frames },
    endsSource: true,
    lookAheadFrames: rate * READ_AHEAD_SECONDS,
  });
  const writer = keys ? sealToFile(take.result, [keys.recipient]) : await PlainWriter.create(take.result);
  await writer.write(wavHeader({ rate, channels: CHANNELS, encoding: 'pcm24', frames }));
  const sink = new BufferedSink({
    channels: CHANNELS,
    maxFrames: rate * WRITE_BEHIND_SECONDS,
    consume: (samples) => writer.write(encodeFrames(samples, 'pcm24')),
  });
  const finish = async (): Promise<void> => {
    await writer.finish();
    await reader.close();
  };
  return { source, sink, finish };
}

/** The bytes of a file, in chunks that are used again. */
async function* plainFile(file: string): AsyncGenerator<Uint8Array> {
  const handle = await open(file, 'r');
  try {
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** The counterpart of a sealing writer, without the sealing. */
class PlainWriter {
  readonly #handle: FileHandle;

  static async create(file: string): Promise<PlainWriter> {
    return new PlainWriter(await open(file, 'wx'));
  }

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(chunk: Uint8Array): Promise<void> {
    const { bytesWritten } = await this.#handle.write(chunk);
    if (bytesWritten !== chunk.length) throw new Error(`${bytesWritten} of ${chunk.length} bytes were written`);
  }

  async finish(): Promise<void> {
    await this.#handle.close();
  }
}

async function blockAfter(
  o: { afterSeconds: number; ms: number },
  claim: Claim,
): Promise<NonNullable<RollingReport['blocked']>> {
  await setTimeout(o.afterSeconds * 1000);
  const before = claim.position().captured;
  const began = performance.now();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, o.ms);
  const ms = performance.now() - began;
  return { ms: Math.round(ms), frames: claim.position().captured - before };
}

function say(message: FromRolling): void {
  process.send!(message);
}

// It has a session of its own: whoever stops the one who waits for it does not reach it.
process.once('disconnect', () => process.exit());
process.once('message', (order: RollingOrder) => {
  roll(order).then(
    (done) => {
      say({ done });
      process.disconnect();
    },
    (error: unknown) => {
      say({ failed: String(error) });
      process.exit(1);
    },
  );
});
