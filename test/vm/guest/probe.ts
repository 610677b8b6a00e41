/** Runs inside the sandbox of a unit of ours, in place of the daemon, and says what it can reach: one JSON object on stdout. */
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';

const words = process.argv.slice(2);

/** Each word is a thing to try, as `verb:what`; the answer is `ok`, a number, a list, or the error's code. */
const answers: Record<string, unknown> = {};
for (const word of words) answers[word] = await answer(word);
process.stdout.write(JSON.stringify(answers));

async function answer(word: string): Promise<unknown> {
  const at = word.indexOf(':');
  const what = word.slice(at + 1);
  try {
    switch (word.slice(0, at)) {
      case 'tcp':
        return await reach({ host: '127.0.0.1', port: Number(what) });
      case 'unix':
        return await reach({ path: what });
      case 'open':
        // Without O_NONBLOCK a serial port waits for a carrier.
        closeSync(openSync(what, 0o4002));
        return 'ok';
      case 'write':
        writeFileSync(what, 'x');
        return 'ok';
      case 'list':
        return readdirSync(what);
      case 'read':
        return readFileSync(what.replace('%d', process.env['CREDENTIALS_DIRECTORY'] ?? '')).length;
      default:
        return 'what?';
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function reach(where: NetConnectOpts): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(where, () => {
      socket.destroy();
      resolve('ok');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
