/** The tenant's part: a result is compared with what the rig's certificate names before anything of it is opened. */
import type { webcrypto } from 'node:crypto';
import { openFile } from '../certs/seal-thread.js';
import { OutboardError } from '../core/errors.js';
import { type Blob, digestOf, writeNewStream } from './blobs.js';

/**
 * Opens a sealed result into a new file. A truncated age file gives plaintext away before its error shows, so digest and size come
 * first; after that the file is what the rig signed.
 *
 * @param identity the tenant's age identity, `AGE-SECRET-KEY-1…` or as a key that cannot be exported
 * @throws OutboardError store.digest | store.size | seal.open | file.unreadable | file.exists | file.write
 */
export async function openResult(
  result: Blob & { file: string },
  identity: string | webcrypto.CryptoKey,
  output: string,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  const actual = await digestOf(result.file);
  if (actual.bytes !== result.bytes)
    throw new OutboardError(
      'store.size',
      `${result.file} has ${actual.bytes} bytes, the certificate says ${result.bytes}`,
    );
  if (actual.digest !== result.digest)
    throw new OutboardError(
      'store.digest',
      `${result.file} is ${actual.digest}, the certificate says ${result.digest}`,
    );
  await writeNewStream(output, openFile(result.file, identity, options));
}
