/** `outboard open`: decrypts a sealed file with an age identity. The new file gets its name only when all of it was good. */
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { openFile } from '../../certs/seal-thread.js';
import { writeNewStream } from '../../client/blobs.js';
import { refuseExistingFile } from './files.js';
import { readIdentity } from './identity.js';
import { interruptSignal } from './interrupt.js';
import { createOutput, formatBytes } from './output.js';

export function openCommand(): Command {
  return new Command('open')
    .description('Decrypts a sealed file with an age identity.')
    .argument('<file>', 'the sealed file')
    .requiredOption('--identity <file>', 'file with AGE-SECRET-KEY-1… as age-keygen writes it')
    .requiredOption('--out <file>', 'the plaintext, mode 0600; nothing is overwritten')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  outboard open result.age --identity tenant/identity.txt --out result.wav\n' +
        'It is plain from then on: put it where only you can read it.',
    )
    .action(async (file: string, o: { identity: string; out: string; json?: boolean }) => {
      const output = createOutput(o);
      await refuseExistingFile(o.out);
      const identity = await readIdentity(o.identity);
      const sealedBytes = (await stat(file).catch(() => undefined))?.size ?? 0;
      const progress = output.progress('opening', sealedBytes, 'bytes');
      let bytes = 0;
      async function* counted(): AsyncGenerator<Uint8Array> {
        for await (const chunk of openFile(file, identity, { signal: interruptSignal() })) {
          bytes += chunk.length;
          // The sealed file is longer by its header and 16 bytes in 64 KiB: near enough for a bar.
          progress.update(bytes);
          yield chunk;
        }
      }
      try {
        await writeNewStream(o.out, counted());
      } finally {
        progress.end();
      }
      output.object({ ok: true, file: o.out, bytes });
      output.line(`${o.out}  ${formatBytes(bytes)}`);
    });
}
