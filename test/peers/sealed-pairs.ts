/** Sealed copies of files beside the plain ones, and back. */
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { openFile, sealToFile } from '../../certs/seal-thread.js';

export async function sealCopy(file: string, recipient: string): Promise<string> {
  const sealed = `${file}.age`;
  const writer = sealToFile(sealed, [recipient]);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 18 })) await writer.write(chunk as Buffer);
  await writer.finish();
  return sealed;
}

export async function openCopy(sealed: string, identity: string, into: string): Promise<void> {
  await pipeline(openFile(sealed, identity), createWriteStream(into, { flags: 'wx' }));
}
