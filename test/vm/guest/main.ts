/** All checks in this machine, in their order. */
import { setTimeout as delay } from 'node:timers/promises';
import { expectCalibrated, expectReleased } from './calibrated.js';
import { Checks, say } from './checks.js';
import { expectBusy, expectOwnDevices, expectOwner, expectRefused, loadModules, unplug } from './hardware.js';
import { expectSameSamples, writeNoise } from './noise.js';
import { expectRecalled } from './recalled.js';
import {
  expectCourierWithoutDevices,
  expectNoRights,
  expectRigInItsSandbox,
  expectRigWithoutNetwork,
} from './sandbox.js';
import { attempt, expect, sh, until } from './shell.js';
import { configure, type Desk, install, mode, openDesk, outboard, STUDIO, startNeighbours } from './site.js';
import { expectWhole, offer, rolls, type Source, storeNoise } from './takes.js';
import { active, COURIER, journalOf, loadOf, RIG, unitState, userOf } from './units.js';

/** Long enough that something can be done to it while it rolls, on a slow machine too. */
const TAKE_SECONDS = 16;
/** Longer than the card's buffer, shorter than the watchdog's patience. */
const XRUN_SECONDS = 3;

let desk: Desk;
let source: Source;

const checks = new Checks();
checks.addNeeded("the kernel's sound card, MIDI ports and serial ports are there", loadModules);
checks.addNeeded('the configuration for the card passes outboard check', async () => {
  await configure();
  return STUDIO;
});
checks.addNeeded('install.sh makes services of it; the card and the serial port belong to the rig alone', async () => {
  await install();
  return expectOwnDevices();
});
checks.addNeeded('systemd hears that both processes are ready', async () => {
  await startNeighbours();
  await sh('systemctl', 'enable', '--now', '--quiet', RIG, COURIER);
  const [rig, courier] = await Promise.all([active(RIG), active(COURIER)]);
  const { state } = await mode('ready', 180);
  expect(!state.virtual, 'the interface is a simulated one');
  expect(rig.status !== '', 'the rig says nothing of itself');
  const said = await until('the status line of the rig says ready', 60, async () => {
    const { status } = await unitState(RIG);
    return status === 'ready' ? status : null;
  });
  return `rig "${said}", courier "${courier.status}"`;
});
checks.add('each runs as its own user', async () => {
  const [rig, courier] = [await userOf((await unitState(RIG)).pid), await userOf((await unitState(COURIER)).pid)];
  expect(rig === 'outboard' && courier === 'outboard-courier', `${rig}, ${courier}`);
  return `${rig}, ${courier}`;
});
checks.add('neither has a right to more', expectNoRights);
checks.add('the rig has no network', expectRigWithoutNetwork);
checks.add('the rig has its devices, its files, and no other', expectRigInItsSandbox);
checks.add('the courier has no devices, no keys, and the network', expectCourierWithoutDevices);
checks.add('the kernel says that the rig holds the card', async () => expectOwner((await unitState(RIG)).pid));
checks.add('the driver says of a card who holds it, and to whom it is closed', expectRefused);
checks.add('aplay gets EBUSY while the daemon idles', async () => {
  const { pid } = await unitState(RIG);
  const busy = await expectBusy();
  return `${busy}; the rig takes ${await loadOf(pid, 5)}`;
});
checks.add("a bounce through the kernel's sound card comes back bit for bit", async () => {
  const wav = '/root/song.wav';
  await writeNoise(wav, 6, 0x1234567);
  const args = [
    '--attempts',
    '5',
    '--to',
    `${STUDIO}/client.yaml`,
    '--processor',
    'gain-1',
    'gain=0',
    '--out',
    '/root/take.wav',
    '--json',
  ];
  const bounced = JSON.parse(await outboard('bounce', wav, ...args)) as {
    take: { attempts: number; latencyFrames: number; xruns: number };
  };
  const samples = await expectSameSamples(wav, '/root/take.wav');
  const { attempts, latencyFrames } = bounced.take;
  return `${samples} samples of 24 bits, latency ${latencyFrames} frames, attempt ${attempts}`;
});
checks.addNeeded('a dispatcher is connected, and a source is in the store', async () => {
  desk = await openDesk();
  source = await storeNoise(desk, 'noise', TAKE_SECONDS);
  return `${TAKE_SECONDS} s of 24-bit noise, ${source.sealed.source.bytes} bytes sealed`;
});
checks.add('aplay gets EBUSY while a take rolls', async () => {
  const { job, settled } = await offer(desk, source);
  await rolls(desk, job);
  const busy = await expectBusy();
  const still = desk.heard.findLast(({ payload }) => payload.job === job.id)?.payload;
  expect(still?.progress?.phase === 'rolling', `the take was over before aplay had tried: ${still?.type}`);
  const load = await loadOf((await unitState(RIG)).pid, 3);
  const { attempt: number } = await expectWhole(desk, source, job, settled);
  return `${busy}; the take is whole, attempt ${number}; the rig takes ${load}`;
});
checks.add('a rig that is killed during a take is started anew and makes the take again', async () => {
  const { job, settled } = await offer(desk, source);
  const killed = await rolls(desk, job);
  const { pid } = await unitState(RIG);
  process.kill(pid, 'SIGKILL');
  const again = await active(RIG, pid);
  const { attempt: number } = await expectWhole(desk, source, job, settled);
  expect(number > killed, `attempt ${killed} was killed, and the certificate is of attempt ${number}`);
  return `killed in attempt ${killed}, certificate of attempt ${number}, process ${pid}, then ${again.pid}, one final event, bit for bit`;
});
checks.add('a courier that is killed during a take is started anew and nothing is lost', async () => {
  const { job, settled } = await offer(desk, source);
  await rolls(desk, job);
  const { pid } = await unitState(COURIER);
  process.kill(pid, 'SIGKILL');
  const again = await active(COURIER, pid);
  const { attempt: number } = await expectWhole(desk, source, job, settled);
  return `attempt ${number}, process ${pid}, then ${again.pid}, one final event, bit for bit`;
});
checks.add('a real xrun voids the take, which is made again', async () => {
  const { job, settled } = await offer(desk, source);
  const stopped = await rolls(desk, job);
  const before = await unitState(RIG);
  const sinceMs = Date.now();
  process.kill(before.pid, 'SIGSTOP');
  await delay(XRUN_SECONDS * 1000);
  process.kill(before.pid, 'SIGCONT');
  const { attempt: number } = await expectWhole(desk, source, job, settled);
  expect(number > stopped, `attempt ${stopped} was stopped, and the certificate is of attempt ${number}`);
  const after = await unitState(RIG);
  expect(after.pid === before.pid, 'the process is another one');
  const xrun = (await journalOf(RIG, sinceMs, '"kind":"xrun-')).map((line) =>
    /"kind":"([^"]+)","atFrame":\d+/.exec(line),
  )[0];
  expect(xrun !== undefined && xrun !== null, 'the rig did not tell of an xrun');
  return `stopped for ${XRUN_SECONDS} s in attempt ${stopped}, ${xrun[1]} noticed, certificate of attempt ${number}, same process, bit for bit`;
});
checks.add('a process whose event loop stands still is started anew by the watchdog', async () => {
  const seen: string[] = [];
  for (const unit of [RIG, COURIER]) {
    const { pid, restarts } = await unitState(unit);
    process.kill(pid, 'SIGSTOP');
    const sinceMs = Date.now();
    const again = await active(unit, pid);
    expect(again.restarts > restarts, `${unit}: ${again.restarts} restarts`);
    const log = await journalOf(unit, sinceMs, 'Watchdog timeout');
    expect(log.length > 0, `${unit}: the journal says nothing of a watchdog`);
    seen.push(`${unit} after ${((Date.now() - sinceMs) / 1000).toFixed(0)} s`);
  }
  await mode('ready');
  return seen.join(', ');
});
checks.add('the card is taken away and comes back: the rig stays up, waits for it and claims it again', async () => {
  const before = await unitState(RIG);
  const { plug } = await unplug();
  const { state } = await mode('faulted');
  const waits = state.lastFault?.problem.message ?? 'no fault';
  const told = await until('systemd hears of it', 60, async () => {
    const now = await unitState(RIG);
    return now.status.startsWith('faulted') ? now.status : null;
  });
  await plug();
  await mode('ready');
  const after = await unitState(RIG);
  expect(after.pid === before.pid && after.restarts === before.restarts, 'it was started anew');
  const { job, settled } = await offer(desk, source);
  const { attempt: number } = await expectWhole(desk, source, job, settled);
  return `"${waits}"; systemctl status: "${told}"; then a take, attempt ${number}, bit for bit`;
});
checks.add("the suite of measurements finds what the kernel's digital loop is", expectCalibrated);
checks.add('the card is given up to another program, and taken back', expectReleased);
checks.add('a unit on a real serial line and one on a real MIDI port are recalled within a bounce', () =>
  expectRecalled(desk),
);
checks.add('both stop cleanly', async () => {
  await desk.dispatcher.stop();
  await sh('systemctl', 'stop', COURIER, RIG);
  for (const unit of [RIG, COURIER]) {
    const text = await sh('systemctl', 'show', unit, '--property=ActiveState,Result,ExecMainStatus');
    expect(/ActiveState=inactive/.test(text) && /Result=success/.test(text) && /ExecMainStatus=0/.test(text), text);
  }
  return 'inactive, success, status 0';
});

/** What the journal has got since this was called last. */
async function tellJournal(): Promise<void> {
  const args = ['--no-pager', '-o', 'short-monotonic', '--cursor-file=/run/told-journal'];
  for (const text of (await attempt('journalctl', '-b', ...args)).stdout.split('\n')) say({ kind: 'log', text });
}

await checks.run(process.argv.slice(2), tellJournal);
for (const unit of [RIG, COURIER]) {
  const { said } = await attempt('systemd-analyze', 'security', '--no-pager', unit);
  say({ kind: 'info', text: said.split('\n').at(-1)?.replace(/^\W+/, '') ?? '' });
}
await tellJournal();
say({ kind: 'end' });
process.exit(0);
