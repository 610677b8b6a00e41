/** Passphrases of root keys: from a file, asked on a terminal without echo, or made up and shown once. They are never an argument. */
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { OutboardError } from '../../core/errors.js';

/** Crockford's base32 without what is misread on paper. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const GROUPS = 6;
const GROUP_LENGTH = 5;
const MIN_LENGTH = 10;

/** 30 letters of 5 bits: 150 bits, in groups that can be copied from paper. */
export function generatePassphrase(): string {
  const group = () => Array.from({ length: GROUP_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return Array.from({ length: GROUPS }, group).join('-');
}

/**
 * The lines of a passphrase file, without the line ends: one for all root keys, or one for each.
 *
 * @throws OutboardError file.unreadable | usage
 */
export async function readPassphraseFile(file: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new OutboardError('file.unreadable', `${file}: cannot be read`, { cause, details: { file } });
  }
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  if (lines.length === 0) throw new OutboardError('usage', `${file} holds no passphrase`);
  return lines;
}

export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks for an existing passphrase, once. @throws OutboardError usage when there is no terminal */
export async function askPassphrase(prompt: string): Promise<string> {
  if (!canAsk()) throw new OutboardError('usage', `${prompt}: no terminal to ask on; use --passphrase-file`);
  return readHidden(`${prompt}: `);
}

/** Asks for a new passphrase, twice. @throws OutboardError usage (they differ, or it is too short) */
export async function askNewPassphrase(prompt: string): Promise<string> {
  const first = await askPassphrase(prompt);
  if (first.length < MIN_LENGTH) throw new OutboardError('usage', `a passphrase has at least ${MIN_LENGTH} characters`);
  const second = await readHidden(`${prompt}, again: `);
  if (first !== second) throw new OutboardError('usage', 'the two passphrases differ');
  return first;
}

/** The passphrase of an existing key: from a file, which has one line for all keys or one for each, or asked. */
export async function existingPassphrase(file: string | undefined, prompt: string, index = 0): Promise<string> {
  return file === undefined ? askPassphrase(prompt) : passphraseOf(await readPassphraseFile(file), index, file);
}

/** The line for the key with this index, counted from 0. @throws OutboardError usage */
export function passphraseOf(lines: readonly string[], index: number, file: string): string {
  const line = lines.length === 1 ? lines[0] : lines[index];
  if (line === undefined) throw new OutboardError('usage', `${file} has ${lines.length} passphrases, more are needed`);
  return line;
}

/** Reads a line in raw mode, so that nothing of it is echoed. */
function readHidden(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  return new Promise((resolve, reject) => {
    let typed = '';
    const finish = (settle: () => void) => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      settle();
    };
    const onData = (chunk: string) => {
      for (const key of chunk) {
        if (key === '\r' || key === '\n') return finish(() => resolve(typed));
        // In raw mode Ctrl-C and Ctrl-D come as characters.
        if (key === '\u0003' || key === '\u0004')
          return finish(() => reject(new OutboardError('usage', 'no passphrase was given')));
        if (key === '\u007f' || key === '\b') typed = typed.slice(0, -1);
        else if (key >= ' ') typed += key;
      }
    };
    stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    stdin.on('data', onData);
    stdin.resume();
  });
}
