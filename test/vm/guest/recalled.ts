/**
 * A bounce through gear on real ports of this machine: a matrix on ttyS2, with its far end on ttyS3, and a preamp at a port of the kernel's sequencer, with
 * its far end at the raw MIDI device. What the rig says of them is compared with what they have.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { link } from '../../peers/jobs.js';
import type { GearState } from './gear.js';
import { expect, sh, until } from './shell.js';
import { type Desk, mode, PACKAGE } from './site.js';
import { expectWhole, offer, storeNoise } from './takes.js';
import { active, RIG, unitState } from './units.js';

const CONFIG = '/etc/outboard/rig/rig.yaml';
const STATE = '/run/studio-gear.json';
const SECONDS = 4;

/** One channel each, in one chain. */
const INSERTS = {
  a: { sends: [1], returns: [1], latencyFrames: 0 },
  b: { sends: [2], returns: [2], latencyFrames: 0 },
};
const PROCESSORS = {
  matrix: { profile: 'extron.crosspoint300-hva', insert: 'a', port: { serial: '/dev/ttyS2', anyPath: true } },
  preamp: { profile: 'rme.micstasy', insert: 'b', port: { midi: 'VirMIDI 1-0' } },
};
const CHAIN = [
  link('matrix', { 'inGain@in=3': -7, 'outVol@out=2': -30, 'mute@out=2': false }),
  link('preamp', { 'gain@ch=5': 12.5, 'lowCut@ch=5': true }),
];

async function stateOfGear(): Promise<GearState> {
  return JSON.parse(await readFile(STATE, 'utf8')) as GearState;
}

export async function expectRecalled(desk: Desk): Promise<string> {
  const gear = [`${PACKAGE}/build/test/vm/guest/gear.js`, '/dev/ttyS3', '/dev/snd/midiC1D0', STATE];
  await sh('systemd-run', '--quiet', '--unit=studio-gear', '/usr/bin/node', ...gear);
  await until('the gear is switched on', 60, () => stateOfGear().catch(() => null));
  const document = parseDocument(await readFile(CONFIG, 'utf8'));
  document.set('inserts', document.createNode(INSERTS));
  document.set('processors', document.createNode(PROCESSORS));
  await writeFile(CONFIG, document.toString({ lineWidth: 200 }));
  const { pid } = await unitState(RIG);
  await sh('systemctl', 'restart', RIG);
  await active(RIG, pid);
  await mode('ready', 180);
  const source = await storeNoise(desk, 'mono', SECONDS, 1);
  let { job, settled } = await offer(desk, source, CHAIN);
  // An emulated host may lose samples five times in a row; whatever else a job ends with is the rig's.
  if ((await settled).payload.problem?.code === 'take.spoiled') ({ job, settled } = await offer(desk, source, CHAIN));
  const { attempt: number, processors } = await expectWhole(desk, source, job, settled);
  const wrong = processors.flatMap(({ settings }) => settings.filter(({ state }) => state !== 'verified'));
  expect(wrong.length === 0, `not verified: ${JSON.stringify(wrong)}`);
  const said = new Map(processors.flatMap(({ settings }) => settings.map(({ name, readBack }) => [name, readBack])));
  const { matrix, preamp } = await stateOfGear();
  const both: [string, unknown, unknown][] = [
    ['inGain@in=3', -7, matrix.inputGainDb[2]],
    ['outVol@out=2', -30, matrix.volumeDb[1]],
    ['gain@ch=5', 12.5, preamp.gainDb[4]],
  ];
  for (const [name, asked, has] of both)
    expect(said.get(name) === asked && has === asked, `${name}: ${asked} asked, ${said.get(name)} said, ${has} had`);
  expect(matrix.panelLock === 1, 'the front panel of the matrix is not locked');
  return `${said.size} settings verified, ${matrix.commands} commands and ${preamp.messages} messages, attempt ${number}, bit for bit`;
}
