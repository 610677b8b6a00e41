/** `outboard interface list`, and what `outboard check` says of a real interface: read from a tree like the kernel's, no device is opened. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { nowSeconds } from '../../../core/units.js';
import { CheckReport } from '../../../daemon/cli/checks/report.js';
import { checkRig } from '../../../daemon/cli/checks/rig.js';
import { initRig } from '../../../daemon/cli/init-rig.js';
import { ProcTree } from '../../peers/loop-card/proc-tree.js';
import { scratch } from '../../peers/scratch.js';
import { lastObject, outboard } from './run-cli.js';

/** A process that is always there, and is not the one that looks. */
const HOLDER = 1;

/** Two cards: one for both directions, held by another process, and one that only plays. */
async function tree(t: TestContext): Promise<string> {
  const dir = await scratch(t);
  const root = join(dir, 'asound');
  await mkdir(root);
  const proc = new ProcTree(root, dir);
  proc.add({ index: 0, id: 'Interface', subdevices: 1, playback: true, capture: true });
  proc.add({ index: 1, id: 'Speaker', subdevices: 1, playback: true, capture: false });
  for (const direction of ['p', 'c'])
    await writeFile(
      join(root, `card0/pcm0${direction}/sub0/status`),
      `state: RUNNING\nowner_pid   : ${HOLDER}\ntrigger_time: 1.0\n`,
    );
  return root;
}

test('the devices are listed by the names that rig.yaml takes, with who holds them', async (t) => {
  const root = await tree(t);
  const people = await outboard('interface', 'list', '--proc-root', root);
  assert.equal(people.code, 0, people.stderr);
  const lines = people.stdout.trimEnd().split('\n');
  assert.match(lines[0]!, /^DEVICE +IN +OUT +HELD BY +DESCRIPTION$/);
  assert.match(lines[1]!, new RegExp(`^hw:CARD=Interface,DEV=0 +yes +yes +process ${HOLDER} \\(.+\\) +\\S`));
  assert.match(lines[2]!, /^hw:CARD=Speaker,DEV=0 +no +yes +- +\S/);
  assert.equal(lines.length, 3);
  const { devices } = lastObject(await outboard('interface', 'list', '--proc-root', root, '--json')) as {
    devices: { name: string; heldBy: string | null; inChannels: number | null }[];
  };
  assert.deepEqual(
    devices.map(({ name, inChannels, heldBy }) => [name, inChannels, heldBy !== null]),
    [
      ['hw:CARD=Interface,DEV=0', null, true],
      ['hw:CARD=Speaker,DEV=0', 0, false],
    ],
  );
});

test('a host without sound cards is said so', async (t) => {
  const none = await outboard('interface', 'list', '--proc-root', join(await scratch(t), 'none'));
  assert.equal(none.code, 0);
  assert.match(none.stdout, /knows no sound card/);
});

test('check looks at a real interface without opening it: there, held, gone, without a direction', async (t) => {
  const root = await tree(t);
  const dir = join(await scratch(t), 'tree');
  const init = await initRig({ dir, rig: 'rig-01', passphrase: 'x', scryptWorkFactor: 2 });
  const text = await readFile(init.files.rig, 'utf8');
  const rowOf = async (device: string) => {
    const interface_ = `interface: {driver: alsa, device: ${device}, rates: [48000], in: 6, out: 6, loopLatencyFrames: 64, procRoot: ${root}}`;
    const real = text.replace(/^interface:\n(?: .*\n)+/m, `${interface_}\n`).replace(/^ +path: .*\n/gm, '');
    await writeFile(init.files.rig, real);
    const report = new CheckReport();
    await checkRig(report, init.files.rig, nowSeconds());
    return report.rows.find(({ what }) => what === 'interface');
  };
  const held = await rowOf('"hw:CARD=Interface,DEV=0"');
  assert.equal(held?.status, 'warn');
  assert.match(held!.detail, new RegExp(`is there, .*6 in, 6 out.*held by process ${HOLDER} `));

  await writeFile(join(root, 'card0/pcm0p/sub0/status'), 'closed\n');
  await writeFile(join(root, 'card0/pcm0c/sub0/status'), 'closed\n');
  const free = await rowOf('"hw:CARD=Interface,DEV=0"');
  assert.equal(free?.status, 'ok');
  assert.match(free!.detail, /nobody holds it/);

  const gone = await rowOf('"hw:CARD=Gone,DEV=0"');
  assert.deepEqual([gone?.status, gone?.code], ['fail', 'audio.gone']);
  assert.match(
    gone!.detail,
    /hw:CARD=Gone,DEV=0 is not there; there is hw:CARD=Interface,DEV=0, hw:CARD=Speaker,DEV=0/,
  );

  const deaf = await rowOf('{playback: "hw:CARD=Speaker,DEV=0", capture: "hw:CARD=Speaker,DEV=0"}');
  assert.deepEqual([deaf?.status, deaf?.code], ['fail', 'audio.format']);
  assert.match(deaf!.detail, /Speaker,DEV=0 has no capture/);
});
