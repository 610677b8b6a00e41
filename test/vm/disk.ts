/**
 * The second disk: outboard as it is installed, the node that runs this, what `outboard init` makes, and the checks. Made anew for every run. The
 * keys are made on this side: an emulated processor would look for RSA primes for a minute, and on a real host they come from elsewhere too.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DISK_LABEL } from './image.js';

const PACKAGE = findPackage();
/** The compiled tree that this file is part of. */
const BUILT = fileURLToPath(new URL('../../', import.meta.url));

/** What the image runs; it knows nothing else of this disk. */
function start(parts: readonly string[]): string {
  const args = parts.map((part) => `'${part.replaceAll("'", "'\\''")}'`).join(' ');
  return `#!/bin/sh
ln -sf /opt/node/bin/node /usr/bin/node
exec /usr/bin/node /opt/outboard/build/test/vm/guest/main.js ${args}
`;
}

/**
 * @param dir an existing folder for the image and its parts
 * @param parts of the names of the checks to run; all when empty
 */
export async function makeDisk(dir: string, parts: readonly string[]): Promise<string> {
  const root = join(dir, 'disk');
  const outboard = join(root, 'outboard');
  await mkdir(join(root, 'node/bin'), { recursive: true });
  await cp(process.execPath, join(root, 'node/bin/node'), { dereference: true });
  await writeFile(join(root, 'start'), start(parts));
  await chmod(join(root, 'start'), 0o755);
  await cp(join(PACKAGE, 'package.json'), join(outboard, 'package.json'));
  for (const part of ['systemd', 'drivers/processors/profiles'])
    await cp(join(PACKAGE, part), join(outboard, part), { recursive: true });
  await cp(BUILT, join(outboard, 'build'), { recursive: true, filter: needed });
  // `npm ci` leaves the addon out where ALSA's headers are missing; here they are.
  execFileSync(process.execPath, [join(PACKAGE, 'scripts/install-addon.mjs'), '--if-stale'], {
    stdio: ['ignore', 2, 2],
  });
  await cp(join(PACKAGE, 'build/native'), join(outboard, 'build/native'), { recursive: true });
  for (const path of await productionModules())
    await cp(join(PACKAGE, path), join(outboard, path), { recursive: true, filter: (source) => !leftOver(source) });
  const init = [
    'init',
    join(root, 'studio'),
    '--rig',
    'rig-01',
    '--broker-dir',
    '/root/studio/broker',
    '--broker-user',
    'root',
  ];
  execFileSync(process.execPath, [join(BUILT, 'daemon/cli/main.js'), ...init, '--json'], { stdio: 'pipe' });
  const image = join(dir, 'disk.img');
  const kilobytes = Number(execFileSync('du', ['-sk', root], { encoding: 'utf8' }).split('\t')[0]);
  const size = `${Math.ceil((kilobytes * 1.2) / 1024) + 40}M`;
  execFileSync('mke2fs', [
    '-q',
    '-t',
    'ext4',
    '-m',
    '0',
    '-L',
    DISK_LABEL,
    '-E',
    'root_owner=0:0',
    '-d',
    root,
    image,
    size,
  ]);
  return image;
}

/** Of the tests only what runs in the machine. */
function needed(source: string): boolean {
  const [top, folder] = relative(BUILT, source).split(sep);
  return top !== 'test' || folder === undefined || folder === 'vm' || folder === 'peers';
}

/** What a compiler leaves beside an addon. */
function leftOver(source: string): boolean {
  return ['obj', 'obj.target', 'deps', '.deps'].includes(basename(source)) || source.endsWith('.o');
}

/** Folders of the packages that are installed without --include=dev, as the lock file names them. */
async function productionModules(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(PACKAGE, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && !entry.dev && !entry.devOptional && existsSync(join(PACKAGE, path)))
    .map(([path]) => path)
    .filter((path) => path.indexOf('node_modules/', 1) === -1);
}

function findPackage(): string {
  let dir = fileURLToPath(new URL('.', import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) dir = join(dir, '..');
  return dir;
}
