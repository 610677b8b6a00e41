/** systemd/install.sh turns bad input away before it touches anything. What it does with good input is seen in the virtual machine. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = new URL('../../../systemd/', import.meta.url);
const script = fileURLToPath(new URL('install.sh', folder));
const isRoot = process.getuid?.() === 0;

function install(...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync('sh', [script, ...args], { encoding: 'utf8' });
  return { status, stderr };
}

for (const [what, args, says] of [
  ['an option without its value', ['--card'], /--card needs a value/],
  ['an unknown option', ['--card', 'Loopback', '--colour', 'red'], /unknown option --colour/],
] as const)
  test(`${what} is refused`, () => {
    const { status, stderr } = install(...args);
    assert.equal(status, 64, stderr);
    assert.match(stderr, says);
  });

for (const [what, args, says] of [
  ['no card', [], /--card NAME is missing/],
  ['a card that is no name', ['--card', 'hw:0"'], /--card NAME is missing or is not a name/],
  ['a serial port that is no path', ['--card', 'Loopback', '--tty', 'ttyS1'], /--tty ttyS1: a path below \/dev/],
] as const)
  test(`${what} is refused`, () => {
    const { status, stderr } = install(...args);
    assert.equal(status, isRoot ? 64 : 77, stderr);
    assert.match(stderr, isRoot ? says : /needs root/);
  });

/** Lines of a unit that no edit may lose: each is a part of the wall. */
const WALL: Record<string, readonly string[]> = {
  'outboardd.service': [
    'PrivateNetwork=yes',
    'RestrictAddressFamilies=AF_UNIX',
    'DevicePolicy=closed',
    'DeviceAllow=char-alsa rw',
    'LimitCORE=0',
    'MemorySwapMax=0',
    'ProtectSystem=strict',
    'NoNewPrivileges=yes',
    'SystemCallErrorNumber=EPERM',
    'User=outboard',
  ],
  'outboard-courier.service': [
    'PrivateDevices=yes',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6',
    'ProtectSystem=strict',
    'NoNewPrivileges=yes',
    'User=outboard-courier',
  ],
  'outboardd-courier.socket': ['SocketGroup=outboard-courier', 'SocketMode=0660', 'FileDescriptorName=courier'],
  'outboardd-control.socket': ['SocketGroup=outboard-technician', 'SocketMode=0660', 'FileDescriptorName=control'],
};

for (const [unit, lines] of Object.entries(WALL))
  test(`${unit} has its part of the wall`, () => {
    const text = readFileSync(new URL(unit, folder), 'utf8').split('\n');
    for (const line of lines) assert.ok(text.includes(line), line);
    assert.ok(!text.some((line) => line.startsWith('MemoryDenyWriteExecute=')), 'V8 compiles to memory');
  });
