/** The matrix at the far end of a real terminal, under a name that stays when the terminal is another one: as udev names an adapter. */
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openPty, type Pty } from '../../../drivers/processors/pty.js';
import { scratch } from '../scratch.js';
import { ExtronCrossPoint } from './extron.js';

export class ExtronOnLine {
  readonly matrix = new ExtronCrossPoint((text) => this.#pty?.write(Buffer.from(text, 'latin1')));
  /** For `port: {serial: …, anyPath: true}`. */
  readonly path: string;
  /** The line is cut behind its adapter, or the unit is off: the terminal stays, and nobody answers. */
  deaf = false;
  #pty: Pty | undefined;

  private constructor(path: string) {
    this.path = path;
  }

  static async lay(t: Pick<TestContext, 'after'>): Promise<ExtronOnLine> {
    const line = new ExtronOnLine(join(await scratch(t), 'matrix'));
    await line.plug();
    t.after(() => line.unplug());
    return line;
  }

  async plug(): Promise<void> {
    this.#pty = await openPty((bytes) => {
      if (!this.deaf) this.matrix.hear(Buffer.from(bytes).toString('latin1'));
    });
    await rm(this.path, { force: true });
    await symlink(this.#pty.path, this.path);
  }

  /** The terminal goes away. May be called twice. */
  async unplug(): Promise<void> {
    await this.#pty?.close();
  }
}
