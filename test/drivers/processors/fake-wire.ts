/** The wire to a hand-written unit: it takes whole writes, gives what the unit says back in pieces of the unit's choice, and can be cut. */
import type { Link, LinkListener, Transport } from '../../../drivers/processors/transport.js';

export abstract class FakeWire implements Transport {
  abstract readonly description: string;
  present = true;
  opened = 0;
  #listener: LinkListener | undefined;

  /** What the unit does with a write, latin1; resolves when the link takes it for sent, with what comes back. */
  protected abstract hear(write: string): Promise<readonly string[]>;

  async open(listener: LinkListener): Promise<Link> {
    if (!this.present) throw new Error('No such file or directory');
    this.opened++;
    this.#listener = listener;
    let open = true;
    return {
      write: async (bytes) => {
        if (!open) throw new Error('closed');
        const pieces = await this.hear(Buffer.from(bytes).toString('latin1'));
        queueMicrotask(() => {
          if (open) for (const piece of pieces) this.deliver(piece);
        });
        return performance.now();
      },
      close: async () => {
        open = false;
      },
    };
  }

  deliver(text: string): void {
    this.#listener?.data(Buffer.from(text, 'latin1'));
  }

  drop(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.lost(new Error('disconnected'));
  }
}
