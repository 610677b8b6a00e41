/**
 * `@julusian/midi`, loaded when the first MIDI port is opened and not before: it is an optional package with native code that wants libasound,
 * and without the kernel's sequencer there is nothing to ask it.
 */
import { access, constants } from 'node:fs/promises';
import type { Input, Output } from '@julusian/midi';
import { OutboardError } from '../../core/errors.js';

/** What of the library is used. */
export interface MidiLibrary {
  Input: new () => Pick<
    Input,
    'closePort' | 'destroy' | 'getPortCount' | 'getPortName' | 'ignoreTypes' | 'openPort' | 'openVirtualPort'
  > & { on(event: 'messageBuffer', listener: (deltaSeconds: number, message: Buffer) => void): unknown };
  Output: new () => Pick<
    Output,
    'closePort' | 'destroy' | 'getPortCount' | 'getPortName' | 'openPort' | 'openVirtualPort' | 'sendMessage'
  >;
}

export const SEQUENCER = '/dev/snd/seq';

/**
 * @param sequencer the kernel's device; without it the library would write to stderr and know no port
 * @throws OutboardError processor.port, saying what is missing
 */
export async function loadMidi(sequencer: string = SEQUENCER): Promise<MidiLibrary> {
  try {
    await access(sequencer, constants.R_OK | constants.W_OK);
  } catch (cause) {
    const denied = (cause as NodeJS.ErrnoException).code === 'EACCES';
    const why = denied ? 'may not be opened by this user' : 'is not there (modprobe snd-seq)';
    throw new OutboardError('processor.port', `this host has no MIDI: ${sequencer} ${why}`, { cause });
  }
  try {
    return await import('@julusian/midi');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new OutboardError('processor.port', `the package @julusian/midi cannot be loaded: ${reason}`, { cause });
  }
}
