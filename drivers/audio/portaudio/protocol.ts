/**
 * What the portaudio driver and its child process say to each other, over a socket of their own: naudiodon prints to stdout, and an
 * unplugged device floods stderr.
 *
 * A frame is a header of 8 bytes (kind, then the length of the payload, both 32-bit little-endian) and its payload: JSON, or a chunk. A
 * chunk is its index (float64) and a monotonic time in nanoseconds (int64), then interleaved int32 samples, left-justified.
 */

export interface OpenRequest {
  /** How the name ends of the entry in PortAudio's list that is meant: `(hw:X,Y)`. */
  playback: string;
  capture: string;
  /** Null: what the device offers; it is only to be held. */
  rate: number | null;
  inChannels: number | null;
  outChannels: number | null;
  chunkFrames: number;
  /** naudiodon's `maxQueue`, in chunks. */
  queueChunks: number;
  /** The kernel's folders of the sub-streams in use: `…/pcm0p/sub0`. */
  playbackProc: string;
  captureProc: string;
}

/** What the device was opened with. */
export interface Opened {
  rate: number;
  inChannels: number;
  outChannels: number;
}

export type Command =
  | { id: number; do: 'open'; open: OpenRequest }
  /** The chunks that follow are played instead of silence. @param backlogChunks captured ones that wait for the parent at most */
  | { id: number; do: 'run'; backlogChunks: number }
  /** Silence again. */
  | { id: number; do: 'idle' };

/** Why a command was not carried out. `absent`: PortAudio does not list the device, which a busy one is like. */
export type Refusal = 'absent' | 'format' | 'device' | 'dirty';

export type Reply =
  | { id: number; ok: true; opened?: Opened; firstFrameNs?: string }
  | { id: number; ok: false; why: Refusal; message: string };

export type DeviceFault = 'xrun-in' | 'xrun-out' | 'dropped' | 'stalled' | 'lost';

export type Notice =
  | { say: 'hello' }
  | { say: 'alive' }
  | { say: 'fault'; kind: DeviceFault; frames: number | null; detail: string }
  /** This chunk had not come when it was due: silence was played in its place. */
  | { say: 'missed'; index: number };

export type Said = Reply | Notice;

export const JSON_FRAME = 1;
export const CHUNK_FRAME = 2;

const HEADER_BYTES = 8;
const CHUNK_HEAD_BYTES = 16;
/** No chunk is larger: 65,536 frames of 128 channels. */
const MAX_PAYLOAD_BYTES = 65_536 * 128 * 4 + CHUNK_HEAD_BYTES;

export function jsonFrame(message: Command | Said): Buffer {
  const payload = Buffer.from(JSON.stringify(message));
  const frame = Buffer.alloc(HEADER_BYTES + payload.length);
  frame.writeUInt32LE(JSON_FRAME, 0);
  frame.writeUInt32LE(payload.length, 4);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

/** A chunk's frame with room for its samples, which are filled in before it is sent. */
export class ChunkFrame {
  readonly bytes: Buffer;
  readonly samples: Int32Array;

  constructor(sampleCount: number) {
    const memory = new ArrayBuffer(HEADER_BYTES + CHUNK_HEAD_BYTES + sampleCount * 4);
    this.bytes = Buffer.from(memory);
    this.samples = new Int32Array(memory, HEADER_BYTES + CHUNK_HEAD_BYTES);
    this.bytes.writeUInt32LE(CHUNK_FRAME, 0);
    this.bytes.writeUInt32LE(CHUNK_HEAD_BYTES + sampleCount * 4, 4);
  }

  stamp(index: number, timeNs: bigint): void {
    this.bytes.writeDoubleLE(index, HEADER_BYTES);
    this.bytes.writeBigInt64LE(timeNs, HEADER_BYTES + 8);
  }
}

export interface FrameListener {
  json(message: unknown): void;
  /** `samples` is valid during the call. */
  chunk(index: number, timeNs: bigint, samples: Int32Array): void;
}

/** Takes frames out of a stream of bytes that comes in pieces of any size. */
export class FrameReader {
  readonly #listener: FrameListener;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFill = 0;
  #kind = 0;
  /** Reused while it is long enough. */
  #payload = Buffer.from(new ArrayBuffer(4096));
  #length = 0;
  #fill = 0;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** @throws RangeError for bytes that are no frame */
  push(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#headerFill < HEADER_BYTES) {
        const now = Math.min(HEADER_BYTES - this.#headerFill, piece.length - at);
        piece.copy(this.#header, this.#headerFill, at, at + now);
        this.#headerFill += now;
        at += now;
        if (this.#headerFill < HEADER_BYTES) return;
        this.#begin();
      }
      const now = Math.min(this.#length - this.#fill, piece.length - at);
      piece.copy(this.#payload, this.#fill, at, at + now);
      this.#fill += now;
      at += now;
      if (this.#fill < this.#length) return;
      this.#headerFill = 0;
      this.#deliver();
    }
  }

  #begin(): void {
    this.#kind = this.#header.readUInt32LE(0);
    this.#length = this.#header.readUInt32LE(4);
    this.#fill = 0;
    const known = this.#kind === JSON_FRAME || (this.#kind === CHUNK_FRAME && this.#length >= CHUNK_HEAD_BYTES);
    if (!known || this.#length > MAX_PAYLOAD_BYTES || this.#length === 0) {
      throw new RangeError(`a frame of kind ${this.#kind} and ${this.#length} bytes`);
    }
    if (this.#length > this.#payload.length) this.#payload = Buffer.from(new ArrayBuffer(this.#length));
  }

  #deliver(): void {
    if (this.#kind === JSON_FRAME) {
      this.#listener.json(JSON.parse(this.#payload.toString('utf8', 0, this.#length)));
      return;
    }
    const count = Math.floor((this.#length - CHUNK_HEAD_BYTES) / 4);
    const samples = new Int32Array(this.#payload.buffer, CHUNK_HEAD_BYTES, count);
    this.#listener.chunk(this.#payload.readDoubleLE(0), this.#payload.readBigInt64LE(8), samples);
  }
}
