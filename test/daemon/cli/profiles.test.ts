/** `outboard profiles`: what there is, whether a file is in order, and a first profile out of a data set. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseProfile } from '../../../drivers/processors/profile.js';
import { scratch } from '../../peers/scratch.js';
import { lastObject, outboard } from './run-cli.js';

const EXTRON = new URL('../../../../drivers/processors/profiles/extron.crosspoint300-hva.yaml', import.meta.url);

const CSV = `manufacturer,device,section,parameter_name,parameter_description,cc_msb,cc_lsb,cc_min_value,cc_max_value,cc_default_value,nrpn_msb,nrpn_lsb,nrpn_min_value,nrpn_max_value,nrpn_default_value,orientation,notes,usage
Acme,Heater 2,Amp,Drive,"a ""hot"" one, with a comma",12,44,0,16256,,,,,,,0-based,,
Acme,Heater 2,,Bypass,,102,,0,127,,,,,,,0-based,,0-63: Off; 64-127: On
Acme,Heater 2,EQ,Low,,28,,0,127,64,,,,,,centered,,
Acme,Heater 2,EQ,Low again,,28,,0,127,,,,,,,0-based,,
Acme,Heater 2,,Depth,,,,,,,1,24,0,16320,,0-based,,0~16320
Acme,Heater 2,,Name,,,,,,,,,,,,,,
`;

test('the profiles are listed, with what can be read back and how sure they are', async () => {
  const people = await outboard('profiles', 'list');
  assert.equal(people.code, 0, people.stderr);
  assert.match(people.stdout, /^ID +VERSION +WIRE +VERIFIED +EVIDENCE +DEVICE$/m);
  assert.match(people.stdout, /^rme\.micstasy +0\.1\.0 +midi +10\/10 +documented +RME Micstasy$/m);
  const { profiles } = lastObject(await outboard('profiles', 'list', '--json')) as {
    profiles: { id: string; verified: number; vars: Record<string, number> }[];
  };
  const heat = profiles.find(({ id }) => id === 'elektron.analog-heat-fx');
  assert.deepEqual([heat?.verified, heat?.vars], [0, { ch: 1 }]);
});

test('a profile in order is said to be, and what is wrong is named with its place', async (t) => {
  const dir = await scratch(t);
  const file = join(dir, 'mine.yaml');
  const good = await readFile(EXTRON, 'utf8');
  await writeFile(file, good);
  const ended = await outboard('profiles', 'check', file);
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(
    ended.stdout,
    /extron\.crosspoint300-hva 0\.1\.0 is in order: 4 parameters, 7 vectors\nsha256:[0-9a-f]{64}\n/,
  );
  assert.match(ended.stdout, /remark: .*extron\.crosspoint300-hva\.yaml/);
  await writeFile(file, good.replace('tx: 7*9g', 'tx: 7*9G'));
  const bad = await outboard('profiles', 'check', file, '--json');
  assert.equal(bad.code, 78);
  const said = JSON.parse(`${bad.stdout}${bad.stderr}`.trim().split('\n').at(-1) ?? '');
  assert.match(JSON.stringify(said), /profile\.invalid.*vectors\.0\.tx/);
  assert.equal((await outboard('profiles', 'check', join(dir, 'none.yaml'))).code, 66);
});

test('a data set becomes a profile that is in order, and what was left out is said', async (t) => {
  const file = join(await scratch(t), 'heater.csv');
  await writeFile(file, CSV);
  const ended = await outboard('profiles', 'import', file);
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stdout, /^# .*CC BY-SA 4\.0/);
  assert.match(ended.stderr, /left out: EQ: Low again: the same controller as eqLow/);
  assert.match(ended.stderr, /left out: Name: it has neither/);
  const profile = parseProfile(ended.stdout, 'import');
  assert.equal(profile.id, 'acme.heater-2');
  assert.deepEqual([...profile.params.keys()], ['ampDrive', 'bypass', 'eqLow', 'depth']);
  const drive = profile.params.get('ampDrive');
  assert.deepEqual([drive?.max, drive?.hazard, drive?.gain?.atMostDb], [127, 'level', 60]);
  assert.deepEqual(profile.safeState, { ampDrive: 0 });
  const bypass = profile.params.get('bypass');
  assert.equal(bypass?.codec.set(null, bypass.taper.encode('On')!)[0], '\xb0\x66\x40');
  assert.equal(profile.params.get('depth')?.max, 255);
});

test('a switch that sounds loud has a hazard, a safe value and the guessed gain', async (t) => {
  const file = join(await scratch(t), 'loud.csv');
  await writeFile(
    file,
    `${CSV.split('\n')[0]}
Acme,Fuzz 1,,Gain mode,,20,,0,127,,,,,,,0-based,,0-63: Low; 64-127: High
Acme,Fuzz 1,,Fuzz,,26,,0,3,,,,,,,0-based,,1: Open; 2: Off; 3: Gated
Acme,Fuzz 1,,Colour,,27,,0,3,,,,,,,0-based,,1: Red; 2: Blue
`,
  );
  const ended = await outboard('profiles', 'import', file);
  assert.equal(ended.code, 0, ended.stderr);
  const { params, safeState } = parseProfile(ended.stdout, 'import');
  assert.deepEqual(safeState, { gainMode: 'Low', fuzz: 'Off' });
  const of = (name: string, value: string) => params.get(name)?.gain?.of(value);
  assert.deepEqual([of('gainMode', 'Low'), of('gainMode', 'High')], [60, 60]);
  assert.deepEqual([of('fuzz', 'Off'), of('fuzz', 'Open'), of('fuzz', 'Gated')], [0, 60, 60]);
  assert.deepEqual(
    [...params.values()].map(({ hazard }) => hazard),
    ['level', 'level', undefined],
  );
});

test('a row that no profile can hold is left out with the reason, and the others are not', async (t) => {
  const file = join(await scratch(t), 'mixed.csv');
  await writeFile(
    file,
    `${CSV.split('\n')[0]}
Acme,Mix,,Depth,,,,,,,1,24,0,16320,,0-based,,
Acme,Mix,,Rate,,,,,,,1,25,0,127,,0-based,,
Acme,Mix,,Data,,6,,0,127,,,,,,,0-based,,
Acme,Mix,,Silence,,120,,0,127,,,,,,,0-based,,
Acme,Mix,,Keys,,122,,0,127,,,,,,,0-based,,
Acme,Mix,,Pair,,20,124,0,16383,,,,,,,0-based,,
Acme,Mix,,Odd,,21,,0,127,,,,,,,0-based,,0-63: __proto__; 64-127: On
Acme,Mix,,Tone,,22,,0,127,,,,,,,0-based,,
`,
  );
  const ended = await outboard('profiles', 'import', file);
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual([...parseProfile(ended.stdout, 'import').params.keys()], ['depth', 'rate', 'tone']);
  assert.match(ended.stderr, /left out: Data: the same controller as depth/);
  for (const name of ['Silence', 'Keys', 'Pair'])
    assert.match(ended.stderr, new RegExp(`left out: ${name}: .*channel mode`));
  assert.match(ended.stderr, /left out: Odd: /);
  await writeFile(
    file,
    `${CSV.split('\n')[0]}
Acme,Mix,,Data,,38,,0,127,,,,,,,0-based,,
Acme,Mix,,Depth,,,,,,,1,24,0,16320,,0-based,,
`,
  );
  const other = await outboard('profiles', 'import', file);
  assert.equal(other.code, 0, other.stderr);
  assert.match(other.stderr, /left out: Depth: the same controller as data/);
});

test('what is no such data set is refused', async (t) => {
  const file = join(await scratch(t), 'x.csv');
  for (const text of ['a,b\n1,2\n', '', CSV.split('\n')[0]!, `${CSV}"open`]) {
    await writeFile(file, text);
    const ended = await outboard('profiles', 'import', file);
    assert.equal(ended.code, 65, text);
    assert.match(ended.stderr, /profile\.import/);
    assert.equal(ended.stdout, '');
  }
});
