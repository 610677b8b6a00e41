/**
 * A set of frame numbers, kept as disjoint half-open ranges in order. Streams are written front to back, so there is mostly one range,
 * and growing it at its end costs nothing.
 */

export class FrameSet {
  /** from, to, from, to, … ascending; no two ranges touch. */
  #edges: number[] = [];

  get empty(): boolean {
    return this.#edges.length === 0;
  }

  /** One past the last frame; 0 for an empty set. */
  get end(): number {
    return this.#edges.at(-1) ?? 0;
  }

  add(from: number, to: number): void {
    if (from >= to) return;
    const edges = this.#edges;
    const last = edges.length - 1;
    if (last < 0 || from > edges[last]!) {
      edges.push(from, to);
      return;
    }
    if (from >= edges[last - 1]!) {
      if (to > edges[last]!) edges[last] = to;
      return;
    }
    this.#merge(from, to);
  }

  /** Takes out every frame from `from` on. */
  removeFrom(from: number): void {
    const edges = this.#edges;
    while (edges.length > 0 && edges.at(-2)! >= from) edges.length -= 2;
    if (edges.length > 0 && edges.at(-1)! > from) edges[edges.length - 1] = from;
  }

  /** Takes out every frame before `before`. */
  removeBefore(before: number): void {
    const edges = this.#edges;
    let gone = 0;
    while (gone < edges.length && edges[gone + 1]! <= before) gone += 2;
    if (gone > 0) edges.splice(0, gone);
    if (edges.length > 0 && edges[0]! < before) edges[0] = before;
  }

  /** The first frame of [from, to) that is not in the set; `to` when all are. */
  firstMissing(from: number, to: number): number {
    let at = from;
    for (let i = 0; i < this.#edges.length && at < to; i += 2) {
      if (this.#edges[i]! > at) break;
      if (this.#edges[i + 1]! > at) at = this.#edges[i + 1]!;
    }
    return Math.min(at, to);
  }

  /** The first frame of [from, to) that is in the set; `to` when none is. */
  firstPresent(from: number, to: number): number {
    for (let i = 0; i < this.#edges.length; i += 2) {
      if (this.#edges[i + 1]! <= from) continue;
      return Math.min(Math.max(from, this.#edges[i]!), to);
    }
    return to;
  }

  #merge(from: number, to: number): void {
    const merged: number[] = [];
    let low = from;
    let high = to;
    for (let i = 0; i < this.#edges.length; i += 2) {
      const a = this.#edges[i]!;
      const b = this.#edges[i + 1]!;
      if (b < low || a > high) merged.push(a, b);
      else {
        low = Math.min(low, a);
        high = Math.max(high, b);
      }
    }
    let at = 0;
    while (at < merged.length && merged[at]! < low) at += 2;
    merged.splice(at, 0, low, high);
    this.#edges = merged;
  }
}
