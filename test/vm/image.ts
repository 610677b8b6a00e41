/**
 * The Debian host that the machine boots: a root file system with systemd, the kernel's own sound drivers and mosquitto. It is built once and
 * kept; what is tested comes on a disk of its own, so this changes with its recipe only.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isRoot } from './host-tools.js';
import type { Progress } from './progress.js';

/** The unit that runs what lies on the second disk, and its label. */
export const DISK_LABEL = 'outboard-vm';

const PACKAGES = [
  'systemd',
  'systemd-sysv',
  'udev',
  'dbus',
  'kmod',
  'procps',
  'iproute2',
  'initramfs-tools',
  'lz4',
  'linux-image-amd64',
  'alsa-utils',
  'mosquitto',
  'libstdc++6',
];

/** What no check needs: most of the size, and of the time to unpack it. */
const LEFT_OUT = [
  '/usr/share/doc/*',
  '/usr/share/man/*',
  '/usr/share/locale/*',
  '/usr/share/sounds/*',
  ...['drivers/gpu', 'drivers/media', 'drivers/net', 'drivers/infiniband', 'drivers/staging', 'drivers/iio'],
  ...['drivers/scsi', 'sound/soc', 'net'],
].flatMap((path) => (path.startsWith('/') ? path : ['', '/usr'].map((usr) => `${usr}/lib/modules/*/kernel/${path}/*`)));

/** The initrd needs no more than the two disks: a small one is unpacked faster by an emulated processor. */
const SETUP = `set -e
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
printf 'MODULES=list\\nCOMPRESS=lz4\\n' > "$1/etc/initramfs-tools/conf.d/vm"
printf 'virtio_pci\\nvirtio_blk\\next4\\n' > "$1/usr/share/initramfs-tools/modules.d/vm"`;

const CHECKS_UNIT = `[Unit]
Description=what lies on the second disk
After=multi-user.target
[Service]
Type=exec
ExecStartPre=/bin/mount -o ro LABEL=${DISK_LABEL} /opt
ExecStart=/opt/start
ExecStopPost=/bin/systemctl poweroff --force
StandardOutput=journal
[Install]
WantedBy=graphical.target
`;

/** What of a whole host would only take time in here. mosquitto runs with the configuration that \`outboard init\` writes. */
const MASKED = [
  'mosquitto.service',
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'systemd-tmpfiles-clean.timer',
  'getty@tty1.service',
  'alsa-restore.service',
  'alsa-state.service',
];

const SIZE = '1400M';
const EXPECTED_SECONDS = 75;
const BUILD_LIMIT_MS = 12 * 60_000;
const MIRROR = process.env['OUTBOARD_VM_MIRROR'] ?? 'http://deb.debian.org/debian';

export interface Image {
  root: string;
  kernel: string;
  initrd: string;
}

/** The same Debian as the host's where it is one, because node and the addons come from the host. */
function suite(): string {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  return /^ID=debian$/m.test(release) && codename ? codename : 'bookworm';
}

function recipe(): string[] {
  return [
    '--variant=minbase',
    '--format=tar',
    `--include=${PACKAGES.join(',')}`,
    ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
    `--setup-hook=${SETUP}`,
    suite(),
  ];
}

/** @param env with the tools on its PATH */
export async function readyImage(env: NodeJS.ProcessEnv, progress: Progress): Promise<Image> {
  const text = JSON.stringify([recipe(), CHECKS_UNIT, MASKED, SIZE]);
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const cache = env['OUTBOARD_VM_CACHE'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'outboard-vm');
  const dir = join(cache, hash);
  const image = { root: join(dir, 'root.img'), kernel: join(dir, 'vmlinuz'), initrd: join(dir, 'initrd.img') };
  if (existsSync(dir)) return image;
  await mkdir(cache, { recursive: true });
  const partial = await mkdtemp(join(cache, 'building-'));
  try {
    await build(partial, env, progress);
    await rename(partial, dir);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Somebody else may have built it meanwhile.
    if (!existsSync(dir)) throw error;
  }
  // Those of other recipes are not needed again soon, and are large.
  for (const name of await readdir(cache))
    if (/^[0-9a-f]{16}$/.test(name) && name !== hash) await rm(join(cache, name), { recursive: true, force: true });
  return image;
}

async function build(dir: string, env: NodeJS.ProcessEnv, progress: Progress): Promise<void> {
  progress.stage(`building the Debian image from ${MIRROR}, once`, EXPECTED_SECONDS);
  const work = await mkdtemp(join(tmpdir(), 'outboard-vm-image-'));
  try {
    const tar = join(work, 'root.tar');
    await run('mmdebstrap', [...recipe(), tar, MIRROR], env);
    const tree = join(work, 'root');
    await writeFile(join(work, 'unpack.sh'), UNPACK);
    await mkdir(tree);
    await mkdir(join(work, 'own/etc/systemd/system/graphical.target.wants'), { recursive: true });
    const units = join(work, 'own/etc/systemd/system');
    await writeFile(join(units, 'vm-checks.service'), CHECKS_UNIT);
    await symlink('../vm-checks.service', join(units, 'graphical.target.wants/vm-checks.service'));
    for (const unit of MASKED) await symlink('/dev/null', join(units, unit));
    await writeFile(join(work, 'own/etc/fstab'), '');
    await writeFile(join(work, 'own/etc/hostname'), 'rig-host\n');
    await writeFile(join(work, 'own/etc/hosts'), '127.0.0.1 localhost rig-host\n::1 localhost\n');
    const unpack = ['sh', join(work, 'unpack.sh'), tar, tree, join(work, 'own'), join(dir, 'root.img'), SIZE];
    const [command, ...args] = isRoot ? unpack : ['fakeroot', '--', ...unpack];
    await run(command!, args, env);
    await newest(join(tree, 'boot'), 'vmlinuz-', join(dir, 'vmlinuz'));
    await newest(join(tree, 'boot'), 'initrd.img-', join(dir, 'initrd.img'));
  } finally {
    execFileSync('rm', ['-rf', work]);
  }
  progress.end();
}

/** tar, tree, what is put over it, image, size. Device nodes are made by the kernel in the machine. */
const UNPACK = `set -e
tar -xf "$1" -C "$2" --exclude='./dev/*'
cp -a "$3/." "$2/"
chown -R 0:0 "$2/etc/systemd" "$2/etc/fstab" "$2/etc/hosts" "$2/etc/hostname"
chmod 755 "$2" "$2/etc" "$2/etc/systemd" "$2/etc/systemd/system"
rm -f "$2/etc/resolv.conf"
mke2fs -q -t ext4 -m 0 -L outboard-root -E root_owner=0:0 -d "$2" "$4" "$5"
`;

async function newest(boot: string, prefix: string, to: string): Promise<void> {
  const name = (await readdir(boot))
    .filter((entry) => entry.startsWith(prefix))
    .sort()
    .at(-1);
  if (!name) throw new Error(`the image has no ${prefix}…`);
  await copyFile(join(boot, name), to);
}

/** Runs a command; what it said is told when it fails. */
async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: BUILD_LIMIT_MS });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      said.push(line);
      if (said.length > 40) said.shift();
    });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${command} ended with ${code ?? signal}:\n${said.join('\n')}`)),
    );
  });
}
