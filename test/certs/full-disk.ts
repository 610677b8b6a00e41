/** Seals more than the small disk at argv[2] holds, and prints the error's code. Run in a mount namespace by seal-thread.test.ts. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sealToFile } from '../../certs/seal-thread.js';
import { generateSourceIdentity } from '../../certs/sealing.js';
import { asOutboardError } from '../../core/errors.js';

const path = join(process.argv[2]!, 'full.age');
const { recipient } = await generateSourceIdentity();
const writer = sealToFile(path, [recipient]);
let code = 'none';
try {
  for (let i = 0; i < 20; i++) await writer.write(new Uint8Array(256 * 1024));
  await writer.finish();
} catch (error) {
  ({ code } = asOutboardError(error));
}
await writer.abort();
process.stdout.write(`${code} ${existsSync(path) ? 'there' : 'removed'}\n`);
