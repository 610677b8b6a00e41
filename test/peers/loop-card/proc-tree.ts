/**
 * A /proc/asound for cards that no kernel knows: the same files with the same words (sound/core/init.c, pcm.c).
 *
 * What belongs to an open PCM (`status`, `hw_params`) is written by the plugin, as it happens.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ProcCard {
  index: number;
  id: string;
  subdevices: number;
  /** Directions that the card has. */
  playback: boolean;
  capture: boolean;
}

const NAME = 'Loop PCM';

export class ProcTree {
  readonly root: string;
  /** Where the folder of an unplugged card waits. */
  readonly #drawer: string;
  readonly #cards = new Map<number, ProcCard>();

  constructor(root: string, drawer: string) {
    this.root = root;
    this.#drawer = drawer;
  }

  /** Shows a card that is plugged in, all of its PCMs closed. */
  add(card: ProcCard): void {
    const folder = this.#folder(card);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'id'), `${card.id}\n`);
    for (const stream of ['PLAYBACK', 'CAPTURE'] as const) {
      if (stream === 'PLAYBACK' ? !card.playback : !card.capture) continue;
      const pcm = join(folder, stream === 'PLAYBACK' ? 'pcm0p' : 'pcm0c');
      mkdirSync(pcm);
      writeFileSync(join(pcm, 'info'), info(card, stream, 0));
      for (let sub = 0; sub < card.subdevices; sub++) {
        const place = join(pcm, `sub${sub}`);
        mkdirSync(place);
        writeFileSync(join(place, 'info'), info(card, stream, sub));
        for (const name of ['status', 'hw_params', 'sw_params']) writeFileSync(join(place, name), 'closed\n');
      }
    }
    symlinkSync(`card${card.index}`, join(this.root, card.id));
    this.#cards.set(card.index, card);
    this.#list();
  }

  /** The card's folder disappears at once, with all that is in it. */
  remove(card: ProcCard): void {
    if (!this.#cards.delete(card.index)) return;
    const away = join(this.#drawer, `card${card.index}`);
    rmSync(away, { recursive: true, force: true });
    renameSync(this.#folder(card), away);
    rmSync(join(this.root, card.id));
    this.#list();
  }

  /** Puts another owner into the status of a PCM, where it is open. */
  setOwner(card: ProcCard, direction: 'p' | 'c', sub: number, owner: bigint): void {
    const file = join(this.#folder(card), `pcm0${direction}`, `sub${sub}`, 'status');
    if (!existsSync(file)) return;
    const text = readFileSync(file, 'utf8');
    replace(file, text.replace(/^(owner_pid +: ).*$/m, `$1${owner}`));
  }

  #folder(card: ProcCard): string {
    return join(this.root, `card${card.index}`);
  }

  #list(): void {
    const cards = [...this.#cards.values()].sort((a, b) => a.index - b.index);
    const two = (n: number) => `${n}`.padStart(2, '0');
    const lines = cards.map(
      ({ index, id }) =>
        `${`${index}`.padStart(2)} [${id.padEnd(15)}]: Loop - ${id}\n${' '.repeat(22)}${id}, outputs wired to inputs\n`,
    );
    replace(join(this.root, 'cards'), lines.join('') || '--- no soundcards ---\n');
    const pcms = cards.map((card) => {
      const streams = [
        card.playback ? `playback ${card.subdevices}` : '',
        card.capture ? `capture ${card.subdevices}` : '',
      ];
      return `${[`${two(card.index)}-00: ${NAME}`, NAME, ...streams.filter(Boolean)].join(' : ')}\n`;
    });
    replace(join(this.root, 'pcm'), pcms.join(''));
  }
}

function info(card: ProcCard, stream: string, sub: number): string {
  const lines = [
    `card: ${card.index}`,
    'device: 0',
    `subdevice: ${sub}`,
    `stream: ${stream}`,
    `id: ${NAME}`,
    `name: ${NAME}`,
    `subname: subdevice #${sub}`,
    'class: 0',
    'subclass: 0',
    `subdevices_count: ${card.subdevices}`,
    `subdevices_avail: ${card.subdevices}`,
  ];
  return `${lines.join('\n')}\n`;
}

function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
