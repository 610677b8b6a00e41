/** The programs that build and run the virtual machine, and the Debian packages that hold them. */
import { existsSync } from 'node:fs';
import { installCommand, installPackages, missingPackages, type Peer, peerPath } from '../../scripts/test-peers.js';

const TOOLS: readonly Peer[] = [
  { package: 'qemu-system-x86', proof: 'qemu-system-x86_64' },
  { package: 'mmdebstrap', proof: 'mmdebstrap' },
  { package: 'debian-archive-keyring', proof: '/usr/share/keyrings/debian-archive-keyring.gpg' },
  { package: 'e2fsprogs', proof: 'mke2fs' },
  { package: 'tar', proof: 'tar' },
  { package: 'gcc', proof: 'cc' },
  { package: 'libasound2-dev', proof: '/usr/include/alsa/asoundlib.h' },
];

/** Who is not root unpacks a file system as somebody who believes to be. */
const TOOLS_WITHOUT_ROOT: readonly Peer[] = [
  { package: 'fakeroot', proof: 'fakeroot' },
  { package: 'uidmap', proof: 'newuidmap' },
];

export const isRoot = process.getuid?.() === 0;

/** Makes sure that the programs are here; root gets them installed. @returns what somebody has to type first, or null */
export function prepareTools(env: NodeJS.ProcessEnv): string | null {
  const path = peerPath(env['PATH'] ?? '');
  env['PATH'] = path;
  const tools = isRoot ? TOOLS : [...TOOLS, ...TOOLS_WITHOUT_ROOT];
  const missing = missingPackages(path, tools);
  if (missing.length === 0) return null;
  if (isRoot && existsSync('/usr/bin/apt-get')) {
    console.error(`installing ${missing.join(', ')}`);
    try {
      installPackages(missing, env);
    } catch (error) {
      console.error(`apt-get failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const still = missingPackages(path, tools);
  return still.length === 0 ? null : installCommand(still);
}
