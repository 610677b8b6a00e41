/**
 * What the kernel tells of its sound cards in /proc/asound: cards, their PCMs and sub-devices, who holds them and with which parameters.
 * Opens no device. What is not there is null or absent; a card can go away between two looks.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceInfo } from '../port.js';
import type { DeviceName } from './device-name.js';

export type Direction = 'playback' | 'capture';

export interface SubDevice {
  /** The id of the thread that opened it; null while it is closed. */
  owner: number | null;
  /** As the kernel spells it (`rate: 48000 (48000/1)`); empty while no parameters are set. */
  hwParams: Record<string, string>;
}

/** @returns every PCM of every card */
export function listDevices(procRoot: string): DeviceInfo[] {
  const devices: DeviceInfo[] = [];
  for (const [id, folder] of cards(procRoot)) {
    const pcms = names(folder).flatMap((name) => /^pcm(\d+)([pc])$/.exec(name)?.slice(1) ?? []);
    const numbers = new Set(pcms.filter((_, i) => i % 2 === 0).map(Number));
    for (const number of [...numbers].sort((a, b) => a - b)) {
      const has = (letter: string) => pcms.some((part, i) => part === `${number}` && pcms[i + 1] === letter);
      const letter = has('p') ? 'p' : 'c';
      const pcm = fields(join(folder, `pcm${number}${letter}`, 'info'))['name'] ?? 'PCM';
      devices.push({
        name: `hw:CARD=${id},DEV=${number}`,
        description: `${longName(procRoot, folder) ?? id}: ${pcm}`,
        inChannels: has('c') ? null : 0,
        outChannels: has('p') ? null : 0,
      });
    }
  }
  return devices;
}

/** Ids of the cards that are there. */
export function listCards(procRoot: string): string[] {
  return [...cards(procRoot).keys()];
}

/** Cards are numbered in the order in which they were found. Null when there is no such card. */
export function cardNumber(procRoot: string, card: string): number | null {
  const folder = cards(procRoot).get(card);
  return folder === undefined ? null : Number(/\d+$/.exec(folder)![0]);
}

/** @returns null when there is no such card, or it has no such direction */
export function subDevices(procRoot: string, device: DeviceName, direction: Direction): SubDevice[] | null {
  const card = cards(procRoot).get(device.card);
  if (card === undefined) return null;
  const pcm = join(card, `pcm${device.device}${direction === 'playback' ? 'p' : 'c'}`);
  const count = Number(fields(join(pcm, 'info'))['subdevices_count'] ?? Number.NaN);
  if (!Number.isInteger(count)) return null;
  return Array.from({ length: count }, (_, i) => {
    const sub = join(pcm, `sub${i}`);
    const owner = Number(fields(join(sub, 'status'))['owner_pid'] ?? Number.NaN);
    return { owner: Number.isInteger(owner) ? owner : null, hwParams: fields(join(sub, 'hw_params')) };
  });
}

/** What a process or thread calls itself, for instance `pulseaudio`; null when it is not there. */
export function commandOf(pid: number): string | null {
  return text(`/proc/${pid}/comm`)?.trim() ?? null;
}

/** Folders by card id. */
function cards(procRoot: string): Map<string, string> {
  const found = new Map<string, string>();
  const numbers = names(procRoot).flatMap((name) => /^card(\d+)$/.exec(name)?.[1] ?? []);
  for (const number of numbers.map(Number).sort((a, b) => a - b)) {
    const folder = join(procRoot, `card${number}`);
    const id = text(join(folder, 'id'))?.trim();
    if (id) found.set(id, folder);
  }
  return found;
}

/** From the list of cards, two lines each: ` 0 [ID             ]: DRIVER - NAME` and more of it. */
function longName(procRoot: string, folder: string): string | null {
  const number = /\d+$/.exec(folder)?.[0];
  const line = new RegExp(`^ *${number} \\[[^\\]]*\\]: *\\S+ - (.+)$`, 'm').exec(text(join(procRoot, 'cards')) ?? '');
  return line?.[1]?.trim() ?? null;
}

/** Lines of the form `key : value`. */
function fields(file: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of (text(file) ?? '').split('\n')) {
    const match = /^(\w+)\s*:\s*(.*)$/.exec(line);
    if (match !== null) found[match[1]!] = match[2]!.trim();
  }
  return found;
}

function text(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
