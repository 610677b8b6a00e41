/**
 * npm's `install` step: compiles the ALSA addon where ALSA's headers and a C compiler are, and leaves it out with one line where they are not.
 * Runs before anything is built, so it is plain JavaScript. With `--if-stale` only when a source is newer than what is there.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('../drivers/audio/alsa/native/', import.meta.url));
const folder = fileURLToPath(new URL('../build/native/', import.meta.url));
const addon = `${folder}alsa.node`;
const names = readdirSync(sources).filter((name) => /\.[ch]$/.test(name));

function isFresh() {
  const built = statSync(addon, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return names.every((name) => statSync(sources + name).mtimeMs <= built);
}

/** Null when everything needed is here; otherwise what is missing. */
function missing() {
  if (process.platform !== 'linux') return 'ALSA is a part of Linux';
  const probe = spawnSync('cc', ['-E', '-x', 'c', '-'], { input: '#include <alsa/asoundlib.h>\n', encoding: 'utf8' });
  if (probe.error) return 'no C compiler: install gcc and libasound2-dev, then run `npm rebuild`';
  if (probe.status !== 0) return 'no ALSA headers: install libasound2-dev, then run `npm rebuild`';
  return null;
}

function compile() {
  const { include_dir } = createRequire(import.meta.url)('node-api-headers');
  mkdirSync(folder, { recursive: true });
  const unfinished = `${addon}.${process.pid}`;
  const options = ['-std=c11', '-O2', '-Wall', '-Wextra', '-shared', '-fPIC', '-fvisibility=hidden', '-DNAPI_VERSION=8'];
  const files = names.filter((name) => name.endsWith('.c')).map((name) => sources + name);
  const args = [...options, '-isystem', include_dir, '-o', unfinished, ...files, '-lasound', '-pthread'];
  const run = spawnSync('cc', args, { encoding: 'utf8' });
  if (run.status === 0) {
    if (run.stderr) console.error(run.stderr);
    renameSync(unfinished, addon); // one that is loaded somewhere stays as it is
    return null;
  }
  rmSync(unfinished, { force: true });
  return `cc failed:\n${run.stderr || run.error}`;
}

if (!(process.argv.includes('--if-stale') && isFresh())) {
  const reason = missing() ?? compile();
  if (reason !== null) console.log(`outboard: the ALSA driver is left out, ${reason}`);
}
