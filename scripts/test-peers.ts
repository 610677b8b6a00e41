/** The real programs and recordings that the tests run against, and the Debian packages that hold them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Peer {
  package: string;
  /** A command on the search path, or an absolute path. */
  proof: string;
}

const PEERS: readonly Peer[] = [
  { package: 'mosquitto', proof: 'mosquitto' },
  { package: 'mosquitto-clients', proof: 'mosquitto_pub' },
  { package: 'age', proof: 'age' },
  { package: 'sox', proof: 'sox' },
  { package: 'socat', proof: 'socat' },
  { package: 'openssl', proof: 'openssl' },
  { package: 'strace', proof: 'strace' },
  { package: 'iproute2', proof: 'ip' },
  { package: 'util-linux', proof: 'unshare' },
  { package: 'sonic-pi-samples', proof: '/usr/share/sonic-pi/samples' },
  { package: 'alsa-utils', proof: '/usr/share/sounds/alsa/Front_Center.wav' },
  { package: 'chromium', proof: 'chromium' },
  { package: 'gcc', proof: 'cc' },
  { package: 'libc6-dev', proof: '/usr/include/stdio.h' },
  { package: 'libasound2-dev', proof: '/usr/include/alsa/asoundlib.h' },
];

/** The search path with the folders of system commands, which an ordinary user's has not. */
export function peerPath(path: string): string {
  const folders = path.split(':').filter((folder) => folder !== '');
  for (const folder of ['/usr/local/sbin', '/usr/sbin', '/sbin']) if (!folders.includes(folder)) folders.push(folder);
  return folders.join(':');
}

/** Debian packages of which the proof is not on this machine. */
export function missingPackages(path: string, peers: readonly Peer[] = PEERS): string[] {
  const folders = path.split(':');
  const isHere = (proof: string) =>
    proof.startsWith('/') ? existsSync(proof) : folders.some((folder) => existsSync(join(folder, proof)));
  return peers.filter((peer) => !isHere(peer.proof)).map((peer) => peer.package);
}

/** What a person types to install them. */
export function installCommand(packages: readonly string[]): string {
  return `sudo apt-get install -y ${packages.join(' ')}`;
}

/** Installs Debian packages without a question. For root only. The output goes to stderr. @throws when apt-get fails */
export function installPackages(packages: readonly string[], env: NodeJS.ProcessEnv): void {
  const quiet = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
  const stdio: ['ignore', 2, 2] = ['ignore', 2, 2];
  execFileSync('apt-get', ['update', '-q'], { env: quiet, stdio });
  execFileSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], { env: quiet, stdio });
}
