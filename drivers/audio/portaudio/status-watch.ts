/**
 * Watches what the kernel tells of the two sub-streams: PortAudio restarts a stream after an xrun, and its word of it comes late, without
 * a place, or not at all. A restart shows as another trigger time.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceFault } from './protocol.js';

interface Look {
  state: string;
  triggered: string;
}

export class StatusWatch {
  readonly #folders: { playback: string; capture: string };
  #begun: { playback: Look | null; capture: Look | null } = { playback: null, capture: null };

  constructor(folders: { playback: string; capture: string }) {
    this.#folders = folders;
  }

  /** What is seen now is how it has to stay. */
  begin(): void {
    this.#begun = { playback: look(this.#folders.playback), capture: look(this.#folders.capture) };
  }

  /** What has happened since `begin`; null when nothing has, or where the kernel tells nothing. */
  check(): { kind: DeviceFault; detail: string } | null {
    if (this.gone()) return { kind: 'lost', detail: 'the card is gone' };
    return this.#compare('capture', 'xrun-in') ?? this.#compare('playback', 'xrun-out');
  }

  /** True when the card has gone since `begin`. */
  gone(): boolean {
    const { playback, capture } = this.#folders;
    return (
      (this.#begun.playback !== null && !existsSync(playback)) || (this.#begun.capture !== null && !existsSync(capture))
    );
  }

  #compare(side: 'playback' | 'capture', kind: DeviceFault): { kind: DeviceFault; detail: string } | null {
    const before = this.#begun[side];
    if (before === null) return null;
    const now = look(this.#folders[side]);
    if (now === null) return null;
    if (now.state !== 'RUNNING') return { kind, detail: `${side} is ${now.state}` };
    if (now.triggered !== before.triggered) return { kind, detail: `${side} was started again` };
    return null;
  }
}

/** Null where there is nothing to read. `state` is `closed` for a sub-stream that nobody has open. */
function look(folder: string): Look | null {
  let text: string;
  try {
    text = readFileSync(join(folder, 'status'), 'utf8');
  } catch {
    return null;
  }
  return {
    state: /^state:\s*(\S+)/m.exec(text)?.[1] ?? 'closed',
    triggered: /^trigger_time\s*:\s*(\S+)/m.exec(text)?.[1] ?? '',
  };
}
