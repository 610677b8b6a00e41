/** Sealing and opening: age v1 (age-encryption.org/v1) over web streams, with the header bounded. Long files go through seal-thread.ts. */
import { randomBytes, type webcrypto } from 'node:crypto';
import { ReadableStream, type ReadableStreamDefaultReader } from 'node:stream/web';
import { Decrypter, Encrypter, identityToRecipient } from 'age-encryption';
import { isOutboardError, OutboardError } from '../core/errors.js';
import { bech32Decode, bech32Encode } from './bech32.js';
import { importIdentity } from './identity.js';

export { importIdentity } from './identity.js';

/** age itself knows no bound; ours leaves room for 20 hybrid recipients. */
export const MAX_AGE_HEADER_BYTES = 64 * 1024;

const INTRO = Buffer.from('age-encryption.org/v1\n');
const HEADER_END = Buffer.from('\n---');
const LINE_FEED = 0x0a;
const IDENTITY_PREFIX = 'age-secret-key-';

/** What opens: a key that cannot be exported, or `AGE-SECRET-KEY-…` text. */
export type Identity = webcrypto.CryptoKey | string;

/** The key of one source. Its secret is bytes only; zero them after wrapping. */
export interface SourceIdentity {
  raw: Uint8Array;
  recipient: string;
}

/** A new identity for one source: raw bytes, never text. */
export async function generateSourceIdentity(): Promise<SourceIdentity> {
  const raw = new Uint8Array(randomBytes(32));
  return { raw, recipient: await recipientOf(raw) };
}

/** A new identity for a tenant, as `age-keygen` makes them: text for his file, and the bytes. */
export async function generateIdentity(): Promise<SourceIdentity & { identity: string }> {
  const source = await generateSourceIdentity();
  return { ...source, identity: identityFromRaw(source.raw) };
}

/** `AGE-SECRET-KEY-1…` of a raw X25519 identity (32 bytes). Text cannot be zeroed: for files of tenants only. */
export function identityFromRaw(raw: Uint8Array): string {
  if (raw.length !== 32) throw new OutboardError('seal.open', 'an identity has 32 bytes');
  return bech32Encode(IDENTITY_PREFIX, raw).toUpperCase();
}

/** The 32 bytes of `AGE-SECRET-KEY-1…`. @throws OutboardError seal.open */
export function rawFromIdentity(identity: string): Uint8Array {
  const decoded = bech32Decode(identity.trim());
  if (decoded === null || decoded.prefix !== IDENTITY_PREFIX || decoded.bytes.length !== 32)
    throw new OutboardError('seal.open', 'not an identity of the form AGE-SECRET-KEY-1…');
  return decoded.bytes;
}

/** `age1…` of a raw X25519 identity. */
export async function recipientOf(raw: Uint8Array): Promise<string> {
  return await identityToRecipient((await importIdentity(raw)) as never);
}

/** Recipients checked by their spelling. @throws OutboardError grant.recipient */
function encrypterFor(recipients: readonly string[]): Encrypter {
  if (recipients.length === 0) throw new OutboardError('grant.recipient', 'nobody to seal for');
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw new OutboardError('grant.recipient', `cannot seal for ${recipient.slice(0, 80)}`, { cause });
    }
  }
  return encrypter;
}

/** Checks the spelling of recipients, at once. @throws OutboardError grant.recipient */
export function checkRecipients(recipients: readonly string[]): void {
  encrypterFor(recipients);
}

/**
 * Checks a recipient by sealing nothing for it: a key that spells well and does not work (a point of small order) shows only so.
 * Recipients that were found good are remembered, so that a queue of jobs for one tenant costs one check.
 *
 * @throws OutboardError grant.recipient
 */
export async function checkRecipient(recipient: string): Promise<void> {
  if (goodRecipients.has(recipient)) return;
  await sizeOfNothing([recipient]);
  if (goodRecipients.size >= MAX_REMEMBERED) goodRecipients.clear();
  goodRecipients.add(recipient);
}

const MAX_REMEMBERED = 1000;
const goodRecipients = new Set<string>();
/** Sizes of empty sealed files by the kinds of their recipients: a stanza's length depends on nothing else. */
const emptySizes = new Map<string, number>();
/** The payload's chunks and their tags: age-encryption.org/v1, "Payload". */
const PAYLOAD_CHUNK_BYTES = 64 * 1024;
const TAG_BYTES = 16;

/**
 * Bytes of a sealed file.
 *
 * @param plainBytes length of the plaintext
 * @throws OutboardError grant.recipient
 */
export async function sealedSize(plainBytes: number, recipients: readonly string[]): Promise<number> {
  const kinds = recipients
    .map((recipient) => `${/^age1(pq1|tag1|tagpq1)?/.exec(recipient)?.[0]}:${recipient.length}`)
    .join(' ');
  let empty = emptySizes.get(kinds);
  if (empty === undefined) {
    empty = await sizeOfNothing(recipients);
    if (emptySizes.size >= MAX_REMEMBERED) emptySizes.clear();
    emptySizes.set(kinds, empty);
  }
  const moreChunks = Math.max(1, Math.ceil(plainBytes / PAYLOAD_CHUNK_BYTES)) - 1;
  return empty + plainBytes + moreChunks * TAG_BYTES;
}

async function sizeOfNothing(recipients: readonly string[]): Promise<number> {
  const empty = new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
  const sealed = await sealStream(empty, recipients);
  const size = sealed.size(0);
  await sealed.cancel();
  return size;
}

/**
 * Encrypts a stream for recipients.
 *
 * @throws OutboardError grant.recipient | seal.header (so many recipients that the file could not be opened here)
 */
export async function sealStream(
  plaintext: ReadableStream<Uint8Array>,
  recipients: readonly string[],
): Promise<ReadableStream<Uint8Array> & { size(plainBytes: number): number }> {
  const encrypter = encrypterFor(recipients);
  let sealed: ReadableStream<Uint8Array> & { size(plainBytes: number): number };
  try {
    sealed = (await encrypter.encrypt(plaintext as never)) as unknown as typeof sealed;
  } catch (cause) {
    throw new OutboardError('grant.recipient', 'a recipient is no usable public key', { cause });
  }
  // Header, nonce (16 bytes) and one tag (16 bytes): the size of a sealed nothing.
  if (sealed.size(0) - 32 > MAX_AGE_HEADER_BYTES)
    throw new OutboardError('seal.header', `the age header has ${sealed.size(0) - 32} bytes`);
  return sealed;
}

/**
 * Decrypts a stream. A truncated file gives plaintext before its error: check the ciphertext's digest and size first.
 *
 * @returns the plaintext, in chunks of at most 64 KiB; it fails with seal.open where the file was changed or ends early
 * @throws OutboardError seal.header | seal.open
 */
export async function openStream(
  sealed: ReadableStream<Uint8Array>,
  identity: Identity,
): Promise<ReadableStream<Uint8Array>> {
  const reader: ReadableStreamDefaultReader<Uint8Array> = sealed.getReader();
  try {
    const start = await readHeader(reader);
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity as never);
    const plaintext = (await decrypter.decrypt(
      resume(start, reader) as never,
    )) as unknown as ReadableStream<Uint8Array>;
    return withOurErrors(plaintext);
  } catch (cause) {
    await reader.cancel(cause).catch(() => undefined);
    throw openError(cause);
  }
}

/** Reads until the end of the header line `--- <mac>` is in sight. */
async function readHeader(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array> {
  let start: Buffer = Buffer.alloc(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new OutboardError('seal.open', 'not an age file: it ends within its header');
    start =
      start.length === 0 ? Buffer.from(value.buffer, value.byteOffset, value.length) : Buffer.concat([start, value]);
    if (!start.subarray(0, INTRO.length).equals(INTRO.subarray(0, start.length)))
      throw new OutboardError('seal.open', 'not an age file');
    const mac = start.indexOf(HEADER_END);
    const end = mac < 0 ? -1 : start.indexOf(LINE_FEED, mac + HEADER_END.length);
    if (end < 0 ? start.length > MAX_AGE_HEADER_BYTES : end >= MAX_AGE_HEADER_BYTES)
      throw new OutboardError('seal.header', `the age header is larger than ${MAX_AGE_HEADER_BYTES} bytes`);
    if (end >= 0) return start;
  }
}

/** What was read already, then the rest. */
function resume(start: Uint8Array, reader: ReadableStreamDefaultReader<Uint8Array>): ReadableStream<Uint8Array> {
  let first: Uint8Array | null = start;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (first !== null) {
          controller.enqueue(first);
          first = null;
          return;
        }
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function withOurErrors(plaintext: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader: ReadableStreamDefaultReader<Uint8Array> = plaintext.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (cause) {
          controller.error(openError(cause));
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** typage throws plain errors, whatever is wrong; an error of ours comes from the source of the bytes. */
function openError(cause: unknown): OutboardError {
  if (isOutboardError(cause)) return cause;
  return new OutboardError('seal.open', `cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}
