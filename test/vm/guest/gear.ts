/**
 * The gear of this machine, a process of its own: a matrix at the far end of a serial cable and a preamp behind a MIDI port, as their manuals describe
 * them. Arguments: terminal, raw MIDI device, and the file in which stands what they have now.
 */
import { createReadStream, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { SerialPort } from 'serialport';
import { ExtronCrossPoint } from '../../peers/gear/extron.js';
import { Micstasy } from '../../peers/gear/micstasy.js';

export interface GearState {
  matrix: { inputGainDb: number[]; volumeDb: number[]; muted: number[]; panelLock: number; commands: number };
  preamp: { gainDb: number[]; phantom: boolean[]; keysLocked: boolean; messages: number };
}

const ONE_TO = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

function run(terminal: string, midi: string, file: string): void {
  const port = new SerialPort({ path: terminal, baudRate: 9600 });
  const matrix = new ExtronCrossPoint((text) => port.write(Buffer.from(text, 'latin1')));
  const device = openSync(midi, 'r+');
  const preamp = new Micstasy((message) => writeSync(device, message));
  const note = () => {
    const state: GearState = {
      matrix: {
        inputGainDb: ONE_TO(16).map((input) => matrix.inputGain.get(input) ?? 0),
        volumeDb: ONE_TO(8).map((output) => matrix.volumeDb(output)),
        muted: [...matrix.muted].sort(),
        panelLock: matrix.panelLock,
        commands: matrix.commands.length,
      },
      preamp: {
        gainDb: ONE_TO(8).map((channel) => preamp.gainDb(channel)),
        phantom: ONE_TO(8).map((channel) => preamp.phantom(channel)),
        keysLocked: preamp.keysLocked,
        messages: preamp.heard.length,
      },
    };
    writeFileSync(`${file}.new`, JSON.stringify(state));
    renameSync(`${file}.new`, file);
  };
  note();
  port.on('data', (bytes: Buffer) => {
    matrix.hear(bytes.toString('latin1'));
    note();
  });
  createReadStream('', { fd: device }).on('data', (bytes) => {
    preamp.hear(Buffer.from(bytes));
    note();
  });
}

const [terminal, midi, file] = process.argv.slice(2);
if (terminal !== undefined && midi !== undefined && file !== undefined) run(terminal, midi, file);
