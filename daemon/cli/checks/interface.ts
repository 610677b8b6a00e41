/** The audio interface of a configuration, looked at without disturbing anybody: a real device may be held, and is not opened. */
import { OutboardError } from '../../../core/errors.js';
import { parseDeviceName } from '../../../drivers/audio/alsa/device-name.js';
import { loadNative } from '../../../drivers/audio/alsa/native.js';
import { listDevices } from '../../../drivers/audio/alsa/proc.js';
import { holders } from '../../../drivers/audio/alsa/proof.js';
import type { DeviceInfo } from '../../../drivers/audio/port.js';
import { portaudioMissing } from '../../../drivers/audio/portaudio/portaudio.js';
import { audioDriver, deviceName, devicePair } from '../../audio-driver.js';
import type { LoadedRigConfig } from '../../rig-config.js';
import type { Finding } from './report.js';

/** @throws OutboardError audio.* | config.invalid */
export async function interfaceFinding(loaded: LoadedRigConfig): Promise<Finding> {
  const { config, resolve } = loaded;
  const wanted = config.interface;
  if (wanted.driver === 'virtual') return await simulatedFinding(loaded);
  const procRoot = resolve(wanted.procRoot);
  const { playback, capture } = devicePair(wanted);
  const devices = listDevices(procRoot);
  checkDirection(devices, playback, 'outChannels', wanted.out);
  checkDirection(devices, capture, 'inChannels', wanted.in);
  const shape = `${wanted.in} in, ${wanted.out} out, ${wanted.rates.join(' ')} Hz, ${wanted.format}`;
  const text = `${deviceName({ playback, capture })} is there, wanted with ${shape}`;
  const held = new Set([
    holders(procRoot, parseDeviceName(playback), 'playback'),
    holders(procRoot, parseDeviceName(capture), 'capture'),
  ]);
  held.delete('');
  if (held.size === 0) return `${text}; nobody holds it`;
  return { warn: `${text}; held by ${[...held].join(', ')}: when that is not outboardd, stop it` };
}

/** Whether the native part of a driver is on this host. @throws OutboardError audio.driver */
export function driverFinding(driver: 'alsa' | 'portaudio'): Finding {
  const missing = driver === 'portaudio' ? portaudioMissing() : null;
  if (missing !== null) throw new OutboardError('audio.driver', missing);
  if (driver === 'alsa') loadNative();
  return `${driver}, built`;
}

/** A simulated device is nobody's: it is claimed as outboardd does it. */
async function simulatedFinding(loaded: LoadedRigConfig): Promise<Finding> {
  const { audio, device } = await audioDriver(loaded);
  const claim = await audio.claim(device);
  try {
    const { exclusive, detail } = await claim.verifyClaim();
    if (!exclusive) throw new OutboardError('audio.busy', detail);
    const { in: ins, out, rates } = loaded.config.interface;
    const clock = loaded.config.interface.driver === 'virtual' ? loaded.config.interface.clock : 'hardware';
    return { warn: `simulated, clock ${clock}, ${ins} in, ${out} out, ${rates.join(' ')} Hz, claimed` };
  } finally {
    await claim.close();
  }
}

function checkDirection(
  devices: readonly DeviceInfo[],
  name: string,
  side: 'inChannels' | 'outChannels',
  wanted: number,
): void {
  const found = devices.find((device) => device.name === name);
  const direction = side === 'outChannels' ? 'playback' : 'capture';
  if (!found) {
    const there =
      devices.length === 0 ? 'this host has no sound card' : `there is ${devices.map((d) => d.name).join(', ')}`;
    throw new OutboardError('audio.gone', `${name} is not there; ${there}`, { details: { device: name } });
  }
  const has = found[side];
  if (has !== null && has < wanted)
    throw new OutboardError(
      'audio.format',
      has === 0 ? `${name} has no ${direction}` : `${name} has ${has} channels of ${direction}, ${wanted} are wanted`,
      { details: { device: name, has, wanted } },
    );
}
