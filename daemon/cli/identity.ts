/** A tenant's identity file, as `age-keygen` writes it. */
import { OutboardError } from '../../core/errors.js';
import { readText } from './files.js';

/** The one identity in it; comments and empty lines are passed over. @throws OutboardError file.unreadable | seal.open */
export async function readIdentity(file: string): Promise<string> {
  const lines = (await readText(file)).split(/\r?\n/).map((line) => line.trim());
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (identities.length !== 1 || !identities[0]!.startsWith('AGE-SECRET-KEY-1'))
    throw new OutboardError('seal.open', `${file}: must hold one identity of the form AGE-SECRET-KEY-1…`);
  return identities[0]!;
}
