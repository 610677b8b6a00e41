/** From `processors.NAME` of a configuration to a profile with the unit's own variables and a transport to it. Opens nothing. */
import type { ProcessorConfig, ProcessorPort } from '../core/contract/config.js';
import { OutboardError } from '../core/errors.js';
import { createPtyTransport, createVirtualMidiTransport } from '../drivers/processors/cabled-unit.js';
import { createMidiTransport } from '../drivers/processors/midi-transport.js';
import type { PathModifier } from '../drivers/processors/path-modifier.js';
import { bindProfile, type Profile } from '../drivers/processors/profile.js';
import { createSerialTransport, type SerialSettings } from '../drivers/processors/serial-transport.js';
import type { Transport } from '../drivers/processors/transport.js';
import { createVirtualTransport } from '../drivers/processors/virtual-unit.js';
import type { LoadedRigConfig } from './rig-config.js';

export interface UnitPort {
  /** With the unit's variables in it. */
  readonly profile: Profile;
  /** @param modifier what a simulated unit moves; a real one moves the sound itself */
  transport(modifier: PathModifier): Transport;
}

/** A simulated unit that has no line of its own, on a real terminal. */
const ANY_LINE = { baud: 38_400, format: '8N1', flow: 'none' } as const;

/**
 * Checks that the profile exists, that it has these variables, that the port is of the kind that the profile speaks over, and that a person has
 * vouched for a unit that cannot be asked.
 *
 * @throws OutboardError profile.unknown | config.invalid with the path below `processors`
 */
export function unitPort(name: string, processor: ProcessorConfig, profiles: ReadonlyMap<string, Profile>): UnitPort {
  const path = `processors.${name}`;
  const unbound = profiles.get(processor.profile);
  if (unbound === undefined)
    throw new OutboardError('profile.unknown', `${path}.profile: there is no profile ${processor.profile}`, {
      details: { profile: processor.profile, known: [...profiles.keys()] },
    });
  const profile = bound(unbound, processor.vars, path);
  const { port } = processor;
  // What cannot be asked who it is would take another unit's commands for its own.
  if (!('virtual' in port) && profile.operatorConfirm && !processor.confirmed)
    throw new OutboardError(
      'config.invalid',
      `${path}.confirmed: a ${profile.id} cannot prove who it is; see that it is at this port, then write confirmed: true`,
      { details: { path: `${path}.confirmed`, profile: profile.id } },
    );
  if ('serial' in port) {
    const line = serialLine(profile, `${path}.port.serial`, port.baud);
    return { profile, transport: () => createSerialTransport({ ...line, path: port.serial }) };
  }
  if ('midi' in port) {
    const settings = { ...midiLink(profile, `${path}.port.midi`), name: port.midi, listens: speaks(profile) };
    return { profile, transport: () => createMidiTransport(settings) };
  }
  return { profile, transport: simulated(profile, port.virtual, `${path}.port.virtual`) };
}

/**
 * All of a configuration, by name.
 *
 * @throws OutboardError as `unitPort`, with the file
 */
export function unitPorts(
  { config, file }: LoadedRigConfig,
  profiles: ReadonlyMap<string, Profile>,
): Map<string, UnitPort> {
  try {
    return new Map(
      Object.entries(config.processors).map(([name, processor]) => [name, unitPort(name, processor, profiles)]),
    );
  } catch (error) {
    if (!(error instanceof OutboardError)) throw error;
    const { code, details, cause } = error;
    throw new OutboardError(code, `${file}: ${error.message}`, { cause, details: { file, ...details } });
  }
}

function simulated(
  profile: Profile,
  wire: Extract<ProcessorPort, { virtual: unknown }>['virtual'],
  path: string,
): UnitPort['transport'] {
  if (wire === 'pty') {
    const line = profile.transport.kind === 'virtual' ? ANY_LINE : serialLine(profile, path);
    return (modifier) => createPtyTransport(profile, modifier, line);
  }
  if (wire === 'midi') {
    const settings = midiLink(profile, path);
    return (modifier) => createVirtualMidiTransport(profile, modifier, settings);
  }
  return (modifier) => createVirtualTransport(profile, modifier);
}

function bound(profile: Profile, vars: ProcessorConfig['vars'], path: string): Profile {
  try {
    return bindProfile(profile, vars);
  } catch (error) {
    if (!(error instanceof OutboardError)) throw error;
    throw new OutboardError(error.code, `${path}.${error.message}`, { cause: error, details: { ...error.details } });
  }
}

function serialLine(profile: Profile, path: string, baud?: number): Omit<SerialSettings, 'path'> {
  const { transport } = profile;
  if (transport.kind !== 'serial') throw wrongKind(profile, path);
  const { format, flow, bootMs } = transport;
  return { baud: baud ?? transport.baud, format, flow, ...(bootMs === undefined ? {} : { bootMs }) };
}

function midiLink(profile: Profile, path: string): { link: 'din' | 'usb'; sysexMax: number } {
  const { transport, framing } = profile;
  if (transport.kind !== 'midi') throw wrongKind(profile, path);
  return { link: transport.link, sysexMax: framing.rxMax };
}

/** True for a unit that says anything at all. */
function speaks({ identity, params, dumps, unsolicited, driver }: Profile): boolean {
  const answers = [...params.values()].some(({ codec }) => codec.ack !== undefined || codec.read !== undefined);
  return identity.length > 0 || unsolicited.length > 0 || dumps.size > 0 || driver !== undefined || answers;
}

function wrongKind({ id, transport }: Profile, path: string): OutboardError {
  const wanted = {
    virtual: 'exists only as its simulation: {virtual: true} or {virtual: pty}',
    serial: 'speaks over a serial line: {serial: PATH}, {virtual: true} or {virtual: pty}',
    midi: 'speaks over MIDI: {midi: NAME}, {virtual: true} or {virtual: midi}',
  }[transport.kind];
  return new OutboardError('config.invalid', `${path}: ${id} ${wanted}`, { details: { path, profile: id } });
}
