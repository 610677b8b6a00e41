/** Compiles the card's plugin for alsa-lib, once per machine and state of its sources. Needs cc and alsa's headers. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCES = fileURLToPath(new URL('../../../../test/peers/loop-card/', import.meta.url));
const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-DPIC'];
const LIBRARIES = ['-lasound', '-lm'];

let compiled: Promise<string> | undefined;

/** The path of the shared library. */
export function loopCardPlugin(): Promise<string> {
  compiled ??= compile();
  return compiled;
}

async function compile(): Promise<string> {
  const names = (await readdir(SOURCES)).filter((name) => /\.[ch]$/.test(name)).sort();
  const hash = createHash('sha256').update([process.arch, ...FLAGS].join());
  for (const name of names) hash.update(name).update(await readFile(join(SOURCES, name)));
  const folder = join(tmpdir(), `outboard-loop-card-${userInfo().uid}`);
  const library = join(folder, `${hash.digest('hex').slice(0, 16)}.so`);
  if (existsSync(library)) return library;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Several test files may compile at once: each for itself, and the last rename wins.
  const draft = `${library}.${process.pid}`;
  const units = names.filter((name) => name.endsWith('.c')).map((name) => join(SOURCES, name));
  try {
    await promisify(execFile)('cc', [...FLAGS, '-o', draft, ...units, ...LIBRARIES]);
    await rename(draft, library);
  } catch (error) {
    await rm(draft, { force: true });
    throw new Error('the loop card needs the packages gcc and libasound2-dev', { cause: error });
  }
  return library;
}
