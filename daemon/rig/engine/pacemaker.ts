/** When the service loop looks at the stream again: in the next turn of the event loop, after a while, or not at all. */
export class Pacemaker {
  readonly #look: () => void;
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;

  constructor(look: () => void) {
    this.#look = look;
  }

  /** In the next turn. */
  soon(): void {
    if (this.#immediate) return;
    this.rest();
    this.#immediate = setImmediate(() => {
      this.#immediate = null;
      this.#look();
    });
  }

  /** After `ms`, unless it is to be sooner already. @param idle true when nothing rolls: that alone keeps no process alive */
  after(ms: number, idle: boolean): void {
    if (this.#immediate) return;
    this.rest();
    this.#timer = setTimeout(this.#look, ms);
    if (idle) this.#timer.unref();
  }

  /** Not at all. */
  rest(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#immediate) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
  }
}
