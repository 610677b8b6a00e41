/** What the two processes can reach: asked of the running ones from outside, and of a probe in the very same sandbox from inside. */
import { chmodSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { expect, sh } from './shell.js';
import { PACKAGE } from './site.js';
import { COURIER, RIG, unitState } from './units.js';

const PROBE = `${PACKAGE}/build/test/vm/guest/probe.js`;

/** The installed unit with the probe for a daemon. Every line of the sandbox stays as it is. */
async function probe(unit: string, ...words: string[]): Promise<Record<string, unknown>> {
  const name = `probe-${unit}`;
  const out = `/root/${name}.json`;
  const installed = await readFile(`/etc/systemd/system/${unit}`, 'utf8');
  const text = installed
    .replace(/^(Requires|Wants|After|Restart|RestartSec|WatchdogSec|NotifyAccess|WantedBy)=.*\n/gm, '')
    .replace(/^Type=notify$/m, `Type=oneshot\nStandardOutput=truncate:${out}`)
    .replace(/^(ExecStart=\S+) .*$/m, `$1 ${PROBE} ${words.join(' ')}`);
  await writeFile(`/run/systemd/system/${name}`, text);
  const drop = await sh('sh', '-c', `cat /etc/systemd/system/${unit}.d/*.conf 2>/dev/null || true`);
  await sh('mkdir', '-p', `/run/systemd/system/${name}.d`);
  await writeFile(`/run/systemd/system/${name}.d/50.conf`, `${drop}\n`);
  await sh('systemctl', 'daemon-reload');
  await sh('systemctl', 'start', name);
  return JSON.parse(await readFile(out, 'utf8')) as Record<string, unknown>;
}

function expectAnswers(found: Record<string, unknown>, wanted: Record<string, unknown>): string {
  const wrong = Object.entries(wanted).filter(
    ([word, answer]) => JSON.stringify(found[word]) !== JSON.stringify(answer),
  );
  expect(
    wrong.length === 0,
    wrong.map(([word, answer]) => `${word}: ${JSON.stringify(found[word])}, not ${JSON.stringify(answer)}`).join('\n'),
  );
  return Object.entries(wanted)
    .map(([word, answer]) => `${word} ${Array.isArray(answer) ? answer.join('+') : answer}`)
    .join(', ');
}

function statusOf(pid: number, name: string): string {
  return new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '?';
}

/** No right that root has, none to be had, and a filter on the system calls. */
export async function expectNoRights(): Promise<string> {
  for (const unit of [RIG, COURIER]) {
    const { pid } = await unitState(unit);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(/^0+$/.test(statusOf(pid, set)), `${unit}: ${set} is ${statusOf(pid, set)}`);
    expect(statusOf(pid, 'NoNewPrivs') === '1', `${unit}: NoNewPrivs`);
    expect(statusOf(pid, 'Seccomp') === '2', `${unit}: Seccomp`);
    expect(/^Max core file size +0 /m.test(readFileSync(`/proc/${pid}/limits`, 'utf8')), `${unit}: core files`);
  }
  return 'no capabilities, no new privileges, system calls filtered, no core files';
}

export async function expectRigWithoutNetwork(): Promise<string> {
  const { pid } = await unitState(RIG);
  const namespaceOf = (process: number) => readlinkSync(`/proc/${process}/ns/net`);
  expect(namespaceOf(pid) !== namespaceOf(1), 'it is in the network namespace of the host');
  expect(namespaceOf((await unitState(COURIER)).pid) === namespaceOf(1), 'the courier is not in that of the host');
  const links = (await sh('nsenter', '-t', String(pid), '-n', 'ip', '-o', 'link')).split('\n');
  expect(links.length === 1 && /^1: lo: /.test(links[0]!), `it has ${links.join('; ')}`);
  const answers = await probe(RIG, 'tcp:8443', 'tcp:8883', 'unix:/run/dbus/system_bus_socket');
  return `a network namespace of its own, with no interface but lo; ${expectAnswers(answers, {
    'tcp:8443': 'EAFNOSUPPORT',
    'tcp:8883': 'EAFNOSUPPORT',
    'unix:/run/dbus/system_bus_socket': 'ENOENT',
  })}`;
}

export async function expectRigInItsSandbox(): Promise<string> {
  const wanted = {
    'open:/dev/snd/controlC0': 'ok',
    'open:/dev/snd/seq': 'ok',
    'open:/dev/snd/midiC1D0': 'EACCES',
    'open:/dev/ttyS2': 'ok',
    // Everybody may open it, and the device policy says no.
    'open:/dev/ttyS3': 'EPERM',
    'open:/dev/vda': 'EACCES',
    'write:/tmp/x': 'EROFS',
    'write:/var/tmp/x': 'EROFS',
    'write:/var/lib/outboard/x': 'ok',
    'read:%d/journal.key': 32,
    'read:/etc/outboard/rig/keys/journal.key': 'EACCES',
    'list:/etc/outboard/courier': 'EACCES',
  };
  const words = Object.keys(wanted);
  chmodSync('/dev/ttyS3', 0o666);
  return expectAnswers(await probe(RIG, ...words.map((word) => word.replace('%', '%%'))), wanted);
}

export async function expectCourierWithoutDevices(): Promise<string> {
  const { pid } = await unitState(COURIER);
  const devices = readdirSync(`/proc/${pid}/root/dev`);
  for (const name of ['snd', 'ttyS0', 'ttyS2', 'vda'])
    expect(!devices.includes(name), `its /dev has ${devices.join(', ')}`);
  const wanted = {
    'open:/dev/snd/controlC0': 'ENOENT',
    'open:/dev/ttyS2': 'ENOENT',
    'tcp:8883': 'ok',
    'unix:/run/outboard/courier.sock': 'ok',
    'unix:/run/outboard/control.sock': 'EACCES',
    'list:/etc/outboard/rig': 'EACCES',
    'list:/var/lib/outboard': 'EACCES',
    'write:/tmp/x': 'EROFS',
    'write:/etc/outboard/courier/x': 'EROFS',
  };
  return expectAnswers(await probe(COURIER, ...Object.keys(wanted)), wanted);
}
