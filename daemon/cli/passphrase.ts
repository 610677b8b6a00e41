/** Passphrases of root keys: from a file, asked on a terminal without echo, or made up and shown once. They are never an argument. */
import { randomInt } from 'node:crypto';
import { on } from 'node:events';
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

/**
 * Asks for new passphrases, each twice.
 *
 * @param names what each is for
 * @throws OutboardError usage: no terminal, two that differ, or one that is too short
 */
export async function askNewPassphrases(names: readonly string[]): Promise<string[]> {
  const answers = await askHidden(names.flatMap((name) => [`new ${name}`, `new ${name}, again`]));
  return names.map((name, i) => {
    const [first, second] = answers.slice(2 * i) as [string, string];
    if (first !== second) throw new OutboardError('usage', `the two passphrases differ (${name})`);
    if (first.length < MIN_LENGTH)
      throw new OutboardError('usage', `a passphrase has at least ${MIN_LENGTH} characters (${name})`);
    return first;
  });
}

/**
 * The passphrases of existing keys: from a file, which has one line for all or one for each, or asked.
 *
 * @param names what each is for
 * @throws OutboardError usage | file.unreadable
 */
export async function existingPassphrases(file: string | undefined, names: readonly string[]): Promise<string[]> {
  if (file === undefined) return askHidden(names);
  const lines = await readPassphraseFile(file);
  return names.map((_, i) => passphraseOf(lines, i, file));
}

/** The line for the key with this index, counted from 0. @throws OutboardError usage */
export function passphraseOf(lines: readonly string[], index: number, file: string): string {
  const line = lines.length === 1 ? lines[0] : lines[index];
  if (line === undefined) throw new OutboardError('usage', `${file} has ${lines.length} passphrases, more are needed`);
  return line;
}

/** Asks one thing after the other. The terminal does not echo from before the first question until after the last answer. */
async function askHidden(questions: readonly string[]): Promise<string[]> {
  if (!canAsk())
    throw new OutboardError('usage', `${questions[0] ?? 'passphrase'}: no terminal to ask on; use --passphrase-file`);
  const { stdin, stderr } = process;
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  const keys = typedKeys(stdin);
  try {
    const answers: string[] = [];
    for (const question of questions) {
      stderr.write(`${question}: `);
      answers.push(await readLine(keys));
      stderr.write('\n');
    }
    return answers;
  } finally {
    await keys.return();
    stdin.setRawMode(false);
    stdin.pause();
  }
}

async function* typedKeys(stdin: NodeJS.ReadStream): AsyncGenerator<string, void, undefined> {
  // Not `for await` over the stream itself: leaving that would destroy stdin.
  for await (const [chunk] of on(stdin, 'data')) yield* String(chunk);
}

/** Up to Enter; what was typed beyond it is for the next question. */
async function readLine(keys: AsyncGenerator<string, void, undefined>): Promise<string> {
  let typed = '';
  for (;;) {
    const { value: key, done } = await keys.next();
    // In raw mode Ctrl-C and Ctrl-D come as characters.
    if (done || key === '\u0003' || key === '\u0004') {
      process.stderr.write('\n');
      throw new OutboardError('usage', 'no passphrase was given');
    }
    if (key === '\r' || key === '\n') return typed;
    if (key === '\u007f' || key === '\b') typed = typed.slice(0, -1);
    else if (key >= ' ') typed += key;
  }
}
