/** `outboard seal`: encrypts a file for age recipients. Any age program opens the result. */
import { createReadStream, open } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { sealToFile } from '../../certs/seal-thread.js';
import { checkRecipient } from '../../certs/sealing.js';
import { OutboardError } from '../../core/errors.js';
import { interruptSignal } from './interrupt.js';
import { createOutput, formatBytes } from './output.js';

const READ_BYTES = 256 * 1024;

export function sealCommand(): Command {
  return new Command('seal')
    .description('Encrypts a file for one or more age recipients.')
    .argument('<file>', 'the file to seal')
    .requiredOption('--recipient <age1…>', 'who can open it; may be given several times', collect, [])
    .requiredOption('--out <file>', 'the sealed file, mode 0600; nothing is overwritten')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Examples:
  outboard seal song.wav --recipient age1… --out song.wav.age
  outboard seal song.wav --recipient "$(age-keygen -y identity.txt)" --out song.wav.age
The stock age program opens it: age -d -i identity.txt song.wav.age > song.wav`,
    )
    .action(async (file: string, o: { recipient: string[]; out: string; json?: boolean }) => {
      const output = createOutput(o);
      if (o.recipient.length === 0) throw new OutboardError('usage', 'name at least one --recipient');
      for (const recipient of o.recipient) await checkRecipient(recipient);
      const { size: plainBytes, isPipe } = await lookAt(file);
      const signal = interruptSignal();
      const writer = sealToFile(o.out, o.recipient, { signal });
      const progress = output.progress('sealing', plainBytes, 'bytes');
      try {
        let done = 0;
        for await (const chunk of await read(file, isPipe, signal)) {
          done += (chunk as Buffer).length;
          // Read streams hand out parts of a shared pool, the writer takes ownership: give it a copy of its own.
          await writer.write(new Uint8Array(chunk as Buffer));
          progress.update(done);
        }
        const sealed = await writer.finish();
        progress.end();
        output.object({ ok: true, file: o.out, ...sealed });
        output.line(`${o.out}  ${formatBytes(sealed.bytes)}  ${sealed.digest}`);
      } catch (error) {
        progress.end();
        await writer.abort();
        throw readError(file, error);
      }
    });
}

/** A pipe is read without blocking a thread: one that waits for a silent writer could not be interrupted, and the process could not end. */
async function read(file: string, isPipe: boolean, signal: AbortSignal): Promise<Readable> {
  if (!isPipe) return createReadStream(file, { highWaterMark: READ_BYTES, signal });
  const fd = await promisify(open)(file, 'r');
  return addAbortSignal(signal, new Socket({ fd, readable: true, writable: false }));
}

async function lookAt(file: string): Promise<{ size: number; isPipe: boolean }> {
  try {
    const found = await stat(file);
    if (found.isDirectory()) throw new OutboardError('file.unreadable', `${file} is a folder`);
    return { size: found.size, isPipe: found.isFIFO() };
  } catch (error) {
    throw readError(file, error);
  }
}

/** What the file system says about reading, in our words. */
function readError(file: string, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof OutboardError || syscall === undefined) return error;
  return new OutboardError('file.unreadable', `${file}: cannot be read (${code ?? syscall})`, { cause: error });
}

function collect(value: string, all: string[]): string[] {
  return [...all, value];
}
