/** The proof that the hold on a device is exclusive: what the kernel tells of it, and what another process is answered. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { execPath, pid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ClaimCheck, ClaimProof, StreamRequest } from '../port.js';
import type { DeviceName } from './device-name.js';
import { commandOf, type Direction, type SubDevice, subDevices } from './proc.js';

export interface Held {
  device: DeviceName;
  /** How many sub-devices were opened. */
  count: number;
}

export type HeldDevices = Record<Direction, Held>;

/** `gone`: the kernel no longer has the card. `taken`: somebody else, or nobody, owns what is held. */
export type Standing = 'held' | 'gone' | 'taken' | 'unknown';

const PROBE = new URL('./probe.js', import.meta.url);
const PROBE_LIMIT_MS = 5000;
const DIRECTIONS = ['playback', 'capture'] as const;

/**
 * What the kernel says, without the probe. Some small files are read.
 * @param processId the one of our processes that has opened the device
 */
export function lookAt(
  procRoot: string,
  held: HeldDevices,
  running: StreamRequest | null,
  processId: number = pid,
): { standing: Standing; checks: ClaimCheck[] } {
  const found = DIRECTIONS.map((direction) => ({
    direction,
    held: held[direction],
    subs: subDevices(procRoot, held[direction].device, direction),
  }));
  if (found.some(({ subs }) => subs === null)) {
    const detail = `${procRoot} does not know the device`;
    const names = ['owner', 'sub-devices', 'hw-params'] as const;
    return {
      standing: found.every(({ subs }) => subs === null) ? 'unknown' : 'gone',
      checks: names.map((name) => ({ name, holds: null, detail })),
    };
  }
  const strangers = found.flatMap(({ direction, held: { count }, subs }) =>
    subs!
      .slice(0, count)
      .flatMap(({ owner }, i) => (isOurs(owner, processId) ? [] : [`${direction} sub-device ${i}: ${whose(owner)}`])),
  );
  const left = found.flatMap(({ direction, held: { count }, subs }) =>
    subs!.length > count ? [`${subs!.length - count} of ${direction}`] : [],
  );
  const total = found.reduce((sum, { held: { count } }) => sum + count, 0);
  return {
    standing: strangers.length === 0 ? 'held' : 'taken',
    checks: [
      {
        name: 'owner',
        holds: strangers.length === 0,
        detail: strangers.length === 0 ? 'every sub-device is owned by a thread of this process' : strangers.join('; '),
      },
      {
        name: 'sub-devices',
        holds: left.length === 0,
        detail: left.length === 0 ? `all ${total} are held` : `not held: ${left.join(', ')}`,
      },
      parameters(
        found.map(({ direction, subs }) => ({ direction, sub: subs![0] })),
        running,
      ),
    ],
  };
}

/** Has another process try to open the device. Takes some tenths of a second. */
export async function probe(held: HeldDevices): Promise<ClaimCheck> {
  const names = DIRECTIONS.map((direction) => held[direction].device.name);
  try {
    const args = [fileURLToPath(PROBE), ...names];
    const { stdout } = await promisify(execFile)(execPath, args, { timeout: PROBE_LIMIT_MS });
    const answers = stdout.trim().split('\n');
    const open = DIRECTIONS.filter((_, i) => answers[i] === 'open');
    const refused = answers.every((answer) => answer === 'EBUSY') && answers.length === 2;
    return {
      name: 'busy-probe',
      holds: open.length > 0 ? false : refused ? true : null,
      detail: refused
        ? 'another process was refused with EBUSY'
        : `another process got ${DIRECTIONS.map((direction, i) => `${direction} ${answers[i]}`).join(', ')}`,
    };
  } catch (error) {
    const detail = `the other process did not answer: ${error instanceof Error ? error.message : error}`;
    return { name: 'busy-probe', holds: null, detail };
  }
}

export function proofOf(held: HeldDevices, checks: ClaimCheck[]): ClaimProof {
  const refuted = checks.filter(({ holds }) => holds === false);
  const probed = checks.some(({ name, holds }) => name === 'busy-probe' && holds === true);
  const { playback, capture } = held;
  const device =
    playback.device.name === capture.device.name
      ? playback.device.name
      : `${playback.device.name} and ${capture.device.name}`;
  return {
    exclusive: refuted.length === 0 && probed,
    device,
    detail: (refuted.length > 0 ? refuted : checks).map(({ detail }) => detail).join('; '),
    checks,
  };
}

/** Says who holds a device that is busy, as far as the kernel tells; empty when it does not. */
export function holders(procRoot: string, device: DeviceName, direction: Direction): string {
  const owners = (subDevices(procRoot, device, direction) ?? []).flatMap(({ owner }) => owner ?? []);
  return [...new Set(owners)].map(whose).join(', ');
}

function parameters(
  streams: { direction: Direction; sub: SubDevice | undefined }[],
  running: StreamRequest | null,
): ClaimCheck {
  if (running === null) return { name: 'hw-params', holds: null, detail: 'no stream runs' };
  const wrong = streams.flatMap(({ direction, sub }) => {
    const wanted = {
      format: running.format,
      channels: `${direction === 'playback' ? running.outChannels : running.inChannels}`,
      rate: `${running.rate}`,
      period_size: `${running.periodFrames}`,
      buffer_size: `${running.periodFrames * running.periods}`,
    };
    return Object.entries(wanted).flatMap(([key, value]) => {
      const actual = sub?.hwParams[key]?.split(' ')[0];
      return actual === value ? [] : [`${direction} ${key} is ${actual ?? 'not told'}, asked was ${value}`];
    });
  });
  const asked = `${running.format}, ${running.inChannels} in, ${running.outChannels} out, ${running.rate} Hz`;
  return {
    name: 'hw-params',
    holds: wrong.length === 0,
    detail: wrong.length === 0 ? `the device runs ${asked}` : wrong.join('; '),
  };
}

/** The kernel names the thread that opened it. */
function isOurs(owner: number | null, processId: number): boolean {
  return owner !== null && existsSync(`/proc/${processId}/task/${owner}`);
}

function whose(owner: number | null): string {
  if (owner === null) return 'nobody';
  if (isOurs(owner, pid)) return 'this process';
  return `process ${owner} (${commandOf(owner) ?? 'unknown'})`;
}
