/** What is native: built where it can be, left out with one line where it cannot, and missed with a clear error where it is needed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { AudioInterface } from '../../../drivers/audio/port.js';
import { scratch } from '../../peers/scratch.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const BUILT = fileURLToPath(new URL('../../../', import.meta.url));

/** A tree with the addon's sources, and with what was compiled from TypeScript; nothing native in it. @param packages whether npm's are there */
async function tree(t: TestContext, packages = true): Promise<string> {
  const dir = await scratch(t);
  for (const name of ['drivers/audio/alsa/native', 'scripts/install-addon.mjs', 'package.json']) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    cpSync(join(ROOT, name), join(dir, name), { recursive: true });
  }
  for (const name of ['core', 'drivers']) cpSync(join(BUILT, name), join(dir, 'build', name), { recursive: true });
  if (packages) symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  return dir;
}

function install(dir: string, path: string, ...args: string[]) {
  const script = join(dir, 'scripts/install-addon.mjs');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', env: { PATH: path } });
}

async function driver(dir: string): Promise<AudioInterface> {
  const url = pathToFileURL(join(dir, 'build/drivers/audio/alsa/alsa.js')).href;
  const module = (await import(url)) as typeof import('../../../drivers/audio/alsa/alsa.js');
  return module.createAlsaInterface();
}

test('without a compiler, or without headers, it is left out with one line, and the install goes on', async (t) => {
  const dir = await tree(t);
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const [what, compiler] of [
    ['gcc', null],
    ['libasound2-dev', '#!/bin/sh\nexit 1\n'],
  ] as const) {
    if (compiler !== null) writeFileSync(join(bin, 'cc'), compiler, { mode: 0o755 });
    const { status, stdout, stderr } = install(dir, compiler === null ? '/nonexistent' : `${bin}:/bin:/usr/bin`);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    assert.equal(stdout.trim().split('\n').length, 1);
    assert.match(stdout, new RegExp(`left out.*${what}`));
    assert.ok(!existsSync(join(dir, 'build/native/alsa.node')));
  }
  const names = { playback: 'hw:CARD=Loop,DEV=0', capture: 'hw:CARD=Loop,DEV=0' };
  await assert.rejects((await driver(dir)).claim(names), (error: { code: string; message: string }) => {
    assert.equal(error.code, 'audio.driver');
    assert.match(error.message, /gcc.*libasound2-dev.*npm rebuild/);
    return true;
  });
});

test('without its optional package the portaudio driver says what to install, and the device is not asked for', async (t) => {
  const dir = await tree(t, false);
  const url = pathToFileURL(join(dir, 'build/drivers/audio/portaudio/portaudio.js')).href;
  const { createPortaudioInterface } = (await import(
    url
  )) as typeof import('../../../drivers/audio/portaudio/portaudio.js');
  const audio = createPortaudioInterface({ procRoot: dir });
  assert.deepEqual(await audio.list(), []);
  const names = { playback: 'hw:CARD=Loop,DEV=0', capture: 'hw:CARD=Loop,DEV=0' };
  await assert.rejects(audio.claim(names), (error: { code: string; message: string }) => {
    assert.equal(error.code, 'audio.driver');
    assert.match(error.message, /naudiodon is not built.*g\+\+, make and python3.*npm ci/);
    return true;
  });
});

test('with both it is built without a word, and again only when a source is newer', async (t) => {
  const dir = await tree(t);
  const addon = join(dir, 'build/native/alsa.node');
  const path = process.env['PATH'] ?? '';
  const { status, stdout, stderr } = install(dir, path);
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
  const names = { playback: 'hw:CARD=Nowhere,DEV=0', capture: 'hw:CARD=Nowhere,DEV=0' };
  await assert.rejects((await driver(dir)).claim(names), { code: 'audio.gone' });
  const built = () => statSync(addon).ino;
  const first = built();
  install(dir, path, '--if-stale');
  assert.equal(built(), first);
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(dir, 'drivers/audio/alsa/native/ring.c'), later, later);
  install(dir, path, '--if-stale');
  assert.notEqual(built(), first);
});
