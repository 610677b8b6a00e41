/** The tape machine at the far end of a real terminal. */
import type { TestContext } from 'node:test';
import { openPty } from '../../../drivers/processors/pty.js';
import { NinePinDeck } from './nine-pin.js';

export interface NinePinOnLine {
  deck: NinePinDeck;
  /** For `port: {serial: …, anyPath: true}`. */
  path: string;
}

export async function ninePinOnLine(t: Pick<TestContext, 'after'>): Promise<NinePinOnLine> {
  let say = (_: Uint8Array): void => undefined;
  const deck = new NinePinDeck((bytes) => say(bytes));
  const pty = await openPty((bytes) => deck.hear(bytes));
  t.after(() => pty.close());
  say = (bytes) => pty.write(bytes);
  return { deck, path: pty.path };
}
