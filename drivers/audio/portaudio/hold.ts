/**
 * The hold on the device: the child process, what it has open, and the proof that nobody else has. Opening it with other parameters means
 * closing it first: for that moment, some tenths of a second, nobody holds it, and afterwards it is looked at again.
 */
import { OutboardError } from '../../../core/errors.js';
import { subDevices } from '../alsa/proc.js';
import { lookAt, probe, proofOf, type Standing } from '../alsa/proof.js';
import type { ClaimCheck, ClaimProof, StreamRequest } from '../port.js';
import { type ChildListener, PortaudioChild } from './child-process.js';
import { checkClaimable, type DevicePair, listedName, procFolder } from './devices.js';
import type { ChunkFrame, Opened, Refusal, Reply } from './protocol.js';

export interface HoldOptions {
  procRoot: string;
  deviceRoot: string;
  devices: DevicePair;
  listener: ChildListener;
}

/** naudiodon's own default of 2 loses 170 ms in a process that is held up for half a second. */
const QUEUE_CHUNKS = 32;
/** Below that PortAudio has xruns on an idle host. */
export const MIN_CHUNK_FRAMES = 4096;
export const MAX_CHUNK_FRAMES = 65_536;

const HELLO_MS = 10_000;
/** A busy device takes PortAudio a second; and what is queued is played first. */
const OPEN_MS = 3000;
const OPEN_CHUNKS = 12;
const ASK_MS = 1000;
const KILL_MS = 400;
const AGAIN = 'a change of rate or width opens the device again and leaves it free for a moment';

export class Hold {
  readonly #o: HoldOptions;
  #child: PortaudioChild;
  #released = false;
  #opened: Opened | null = null;
  /** What the stream has to be, with the period and buffer that were granted. */
  #running: StreamRequest | null = null;
  #chunkFrames = MIN_CHUNK_FRAMES;
  #probed: ClaimCheck = { name: 'busy-probe', holds: null, detail: 'no other process has tried yet' };

  constructor(o: HoldOptions) {
    this.#o = o;
    this.#child = this.#newChild();
  }

  get alive(): boolean {
    return this.#child.running;
  }

  /** False while it could not be opened again. */
  get holds(): boolean {
    return this.#opened !== null;
  }

  /** @throws OutboardError audio.driver, audio.busy, audio.gone */
  async take(): Promise<void> {
    await this.#startChild();
    try {
      await this.#open(null);
    } catch (error) {
      await this.release();
      throw error;
    }
  }

  /**
   * Has the device open with these parameters, and a stream of silence on it.
   * @returns the period and buffer that it runs with
   * @throws OutboardError audio.format: then it is held as before. audio.busy, audio.gone: then it is not held any more.
   */
  async tune(request: StreamRequest, o: { again: boolean }): Promise<StreamRequest> {
    if (!o.again && this.#running !== null && sameStream(this.#running, request, this.#chunkFrames))
      return this.#running;
    const before = this.#running === null ? null : { ...this.#running, periodFrames: this.#chunkFrames };
    this.#running = null;
    try {
      // PortAudio may not end a stream that has lost frames, and nothing of it is wanted.
      if (o.again) await this.#renew();
      await this.#open(request);
      this.#running = this.#compare(request);
      return this.#running;
    } catch (error) {
      if (!(error instanceof OutboardError) || error.code !== 'audio.format') throw error;
      await this.#open(before);
      this.#running = before === null ? null : this.#compare(before);
      throw error;
    }
  }

  /** @returns about when frame 0 is played; null when the stream is not what it was when it was opened, and has to be opened again */
  async run(backlogChunks: number): Promise<bigint | null> {
    this.#child.forgive();
    const reply = await this.#ask(() => this.#child.ask({ do: 'run', backlogChunks }, ASK_MS));
    if (reply.ok) return BigInt(reply.firstFrameNs!);
    if (reply.why === 'dirty') return null;
    throw new OutboardError('audio.gone', reply.message);
  }

  /** Silence. A child that does not answer is killed by the one who watches it. */
  async idle(): Promise<void> {
    await this.#child.ask({ do: 'idle' }, ASK_MS).catch(() => {});
  }

  send(frame: ChunkFrame, sent: () => void): void {
    this.#child.send(frame, sent);
  }

  /** Gives the device back, whatever state it is in: the kernel closes what a killed process had open. */
  async release(): Promise<void> {
    this.#released = true;
    this.#opened = null;
    this.#running = null;
    await this.#child.kill(KILL_MS);
  }

  /** Reads what the kernel tells. */
  look(): { standing: Standing; proof: ClaimProof } {
    const { playback, capture } = this.#o.devices;
    const held = { playback: { device: playback, count: 1 }, capture: { device: capture, count: 1 } };
    const { standing, checks } = lookAt(this.#o.procRoot, held, this.#running, this.#child.pid);
    const proof = proofOf(held, [...checks, this.#probed]);
    const holds = this.#child.running && proof.exclusive;
    const detail = this.#child.running ? `${proof.detail}; ${AGAIN}` : 'the process that held it has ended';
    return { standing, proof: { ...proof, exclusive: holds, detail } };
  }

  /** Has another process try to open the device. */
  async probe(): Promise<void> {
    const { playback, capture } = this.#o.devices;
    const held = { playback: { device: playback, count: 1 }, capture: { device: capture, count: 1 } };
    const answer = await probe(held);
    this.#probed = answer.holds === null ? await this.#probeByPortaudio(answer) : answer;
  }

  /** Without the alsa addon: to a second PortAudio a device that is held looks absent. */
  async #probeByPortaudio(before: ClaimCheck): Promise<ClaimCheck> {
    const ignore: ChildListener = { notice: () => {}, chunk: () => {}, flood: () => {}, ended: () => {} };
    const other = new PortaudioChild(ignore);
    try {
      await other.start(HELLO_MS);
      const reply = await other.ask({ do: 'open', open: this.#request(null) }, OPEN_MS);
      if (reply.ok) return { name: 'busy-probe', holds: false, detail: 'another process opened it' };
      return reply.why === 'format'
        ? before
        : { name: 'busy-probe', holds: true, detail: 'PortAudio in another process could not open it' };
    } catch {
      return before;
    } finally {
      await other.kill(KILL_MS);
    }
  }

  /** The one before counts no longer, whatever it still says. */
  #newChild(): PortaudioChild {
    const { notice, chunk, flood, ended } = this.#o.listener;
    const child: PortaudioChild = new PortaudioChild({
      notice: (said) => child === this.#child && notice(said),
      chunk: (index, timeNs, samples) => child === this.#child && chunk(index, timeNs, samples),
      flood: (line) => child === this.#child && flood(line),
      ended: (how) => child === this.#child && ended(how),
    });
    return child;
  }

  async #renew(): Promise<void> {
    const before = this.#child;
    this.#child = this.#newChild();
    await before.kill(KILL_MS);
    if (this.#released) throw new OutboardError('audio.closed', 'The claim on the interface was given back.');
    await this.#startChild();
  }

  /** @throws OutboardError audio.driver */
  async #startChild(): Promise<void> {
    try {
      await this.#child.start(HELLO_MS);
    } catch (cause) {
      await this.release();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new OutboardError('audio.driver', `naudiodon does not load: ${why}. Run \`npm rebuild naudiodon\`.`, {
        cause,
      });
    }
  }

  /** @param request null: whatever the device offers */
  async #open(request: StreamRequest | null): Promise<void> {
    const open = this.#request(request);
    const queuedMs = this.#opened === null ? 0 : (1000 * OPEN_CHUNKS * this.#chunkFrames) / this.#opened.rate;
    this.#opened = null;
    this.#child.forgive();
    const reply = await this.#ask(() =>
      this.#child.ask({ do: 'open', open }, OPEN_MS + queuedMs).catch(async () => {
        await this.#renew();
        return this.#child.ask({ do: 'open', open }, OPEN_MS);
      }),
    );
    if (!reply.ok) throw this.#refusal(reply.why, reply.message, request);
    this.#opened = reply.opened!;
    this.#chunkFrames = open.chunkFrames;
  }

  #request(request: StreamRequest | null) {
    const { procRoot, devices } = this.#o;
    return {
      playback: listedName(procRoot, devices.playback),
      capture: listedName(procRoot, devices.capture),
      rate: request?.rate ?? null,
      inChannels: request?.inChannels ?? null,
      outChannels: request?.outChannels ?? null,
      chunkFrames: request?.periodFrames ?? MIN_CHUNK_FRAMES,
      queueChunks: QUEUE_CHUNKS,
      playbackProc: procFolder(procRoot, devices.playback, 'playback'),
      captureProc: procFolder(procRoot, devices.capture, 'capture'),
    };
  }

  /** PortAudio converts without a word: the kernel's parameters have to be those that were asked. @throws OutboardError audio.format */
  #compare(request: StreamRequest): StreamRequest {
    let granted = request;
    for (const direction of ['playback', 'capture'] as const) {
      const device = this.#o.devices[direction];
      const runs = subDevices(this.#o.procRoot, device, direction)?.[0]?.hwParams ?? {};
      const first = (key: string) => runs[key]?.split(' ')[0] ?? 'nothing';
      const wanted = {
        format: request.format,
        channels: `${direction === 'playback' ? request.outChannels : request.inChannels}`,
        rate: `${request.rate}`,
      };
      for (const [key, value] of Object.entries(wanted)) {
        if (first(key) === value) continue;
        const message = `PortAudio has ${device.name} run ${direction} with ${key} ${first(key)}; asked was ${value}.`;
        throw new OutboardError('audio.format', message, { details: { ...request } });
      }
      const periodFrames = Number(first('period_size'));
      granted = { ...request, periodFrames, periods: Number(first('buffer_size')) / periodFrames };
    }
    return granted;
  }

  async #ask(question: () => Promise<Reply>): Promise<Reply> {
    try {
      return await question();
    } catch (cause) {
      await this.release();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new OutboardError('audio.gone', `PortAudio's process did not do it: ${why}. ${this.#child.lastWords}`, {
        cause,
      });
    }
  }

  #refusal(why: Refusal, message: string, request: StreamRequest | null): OutboardError {
    const { devices } = this.#o;
    if (why === 'format' && request !== null) {
      return new OutboardError('audio.format', `The device does not run it: ${message}.`, { details: { ...request } });
    }
    try {
      checkClaimable(this.#o, devices);
    } catch (error) {
      return error as OutboardError;
    }
    // It is there, nobody owns it, and it does not open: for PortAudio that is what a busy device is like.
    return new OutboardError('audio.busy', `${devices.playback.name} does not open: ${message}.`);
  }
}

function sameStream(a: StreamRequest, b: StreamRequest, chunkFrames: number): boolean {
  return (
    a.rate === b.rate &&
    a.inChannels === b.inChannels &&
    a.outChannels === b.outChannels &&
    a.format === b.format &&
    chunkFrames === b.periodFrames
  );
}
