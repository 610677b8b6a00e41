/**
 * Which implementation of the audio port a configuration means. Native ones are loaded only where they are named, so that a host without
 * them misses nothing.
 */
import type { InterfaceConfig, RigConfig, SyncWire } from '../core/contract/config.js';
import type { AudioInterface, StreamRequest } from '../drivers/audio/port.js';
import { createVirtualInterface, VIRTUAL_DEVICE } from '../drivers/audio/virtual.js';
import { VirtualAnalog } from '../drivers/audio/virtual-analog.js';
import type { PathModifier } from '../drivers/processors/path-modifier.js';
import type { LoadedConfig } from './config-file.js';

/** The two directions as `claim` takes them. */
export interface DevicePair {
  playback: string;
  capture: string;
}

export interface AudioDriver {
  audio: AudioInterface;
  device: DevicePair;
  /** The simulated analog side; null where sound goes through real gear. */
  analog: VirtualAnalog | null;
}

/** How the stream is driven, as the configuration wishes it. */
export type StreamWishes = Pick<StreamRequest, 'format' | 'periodFrames' | 'periods'>;

/** The ideal wire of a simulated sync channel: no name of an insert looks like this. */
const SYNC_WIRE = 'SYNC';

/** Makes the driver; opens nothing. @throws OutboardError config.invalid */
export async function audioDriver({ config, resolve }: LoadedConfig<RigConfig>): Promise<AudioDriver> {
  const wanted = config.interface;
  if (wanted.driver === 'virtual') {
    const wires = { ...config.inserts, ...syncWire(wanted.sync) };
    const analog = new VirtualAnalog(wires, wanted.crosstalk, wanted.leakage);
    return { audio: createVirtualInterface(wanted, analog), device: devicePair(wanted), analog };
  }
  return {
    audio: await hardwareDriver({ ...wanted, procRoot: resolve(wanted.procRoot) }),
    device: devicePair(wanted),
    analog: null,
  };
}

/** @param wanted with an absolute `procRoot` */
async function hardwareDriver(wanted: Exclude<InterfaceConfig, { driver: 'virtual' }>): Promise<AudioInterface> {
  const { procRoot } = wanted;
  if (wanted.driver === 'alsa') {
    const { createAlsaInterface } = await import('../drivers/audio/alsa/alsa.js');
    return createAlsaInterface({ procRoot, ringSeconds: wanted.ringSeconds });
  }
  const { createPortaudioInterface } = await import('../drivers/audio/portaudio/portaudio.js');
  return createPortaudioInterface({ procRoot });
}

/** What a simulated unit moves: its insert or patchbay of the simulated analog side; nothing where the wires are real. */
export function modifierOf(analog: VirtualAnalog | null, processor: string, insert: string | undefined): PathModifier {
  return analog?.modifierOf(processor, insert) ?? { gainDb: 0, muted: false, delaySeconds: 0 };
}

export function devicePair(wanted: InterfaceConfig): DevicePair {
  if (wanted.driver === 'virtual') return { playback: VIRTUAL_DEVICE, capture: VIRTUAL_DEVICE };
  const { device } = wanted;
  return typeof device === 'string' ? { playback: device, capture: device } : device;
}

/** One name where both directions have the same. */
export function deviceName({ playback, capture }: DevicePair): string {
  return playback === capture ? playback : `${playback} (playback) and ${capture} (capture)`;
}

/** Null for the simulated interface, which has no buffer of its own. */
export function streamWishes(wanted: InterfaceConfig): StreamWishes | null {
  if (wanted.driver === 'virtual') return null;
  const { format, periodFrames } = wanted;
  return { format, periodFrames, periods: wanted.driver === 'alsa' ? wanted.periods : PORTAUDIO_PERIODS };
}

/** PortAudio buffers about twice what it is asked for, whatever one says. */
const PORTAUDIO_PERIODS = 2;

function syncWire(sync: SyncWire | undefined): Record<string, { sends: number[]; returns: number[] }> {
  return sync ? { [SYNC_WIRE]: { sends: [sync.send], returns: [sync.return] } } : {};
}
