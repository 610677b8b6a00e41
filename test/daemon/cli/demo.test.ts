/** `outboard demo` as a user runs it; what it leaves is read by the stock age, sox and openssl, and by nothing of ours. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scratch } from '../../peers/scratch.js';
import { until } from '../../peers/stack.js';

const MAIN = fileURLToPath(new URL('../../../daemon/cli/main.js', import.meta.url));

interface Demo {
  status: number | null;
  lines: string[];
  stderr: string;
  /** A folder for what the run leaves; TMPDIR of the run is `tmp` inside it. */
  dir: string;
}

async function demo(t: TestContext, ...args: string[]): Promise<Demo> {
  const dir = await scratch(t);
  mkdirSync(join(dir, 'tmp'));
  const run = spawnSync(process.execPath, [MAIN, 'demo', ...args.map((arg) => arg.replace('DIR', dir))], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: join(dir, 'tmp') },
  });
  return { status: run.status, lines: run.stdout.trimEnd().split('\n'), stderr: run.stderr, dir };
}

const sha256 = (file: string) => `sha256:${createHash('sha256').update(readFileSync(file)).digest('hex')}`;
const payload = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString('utf8'));
/** Raw interleaved 32-bit samples, as sox reads them. */
const samples = (file: string) => {
  const raw = execFileSync('sox', [file, '-t', 'raw', '-e', 'signed', '-b', '32', '-'], { maxBuffer: 2 ** 28 });
  return new Int32Array(raw.buffer, raw.byteOffset, raw.length / 4);
};

test('the demo leaves a take that age opens and sox reads, 6.00 dB lower, with its certificate', async (t) => {
  const { status, lines, stderr, dir } = await demo(t, '--json', '--keep', 'DIR/kept');
  assert.equal(status, 0, stderr + lines.join('\n'));
  const kept = join(dir, 'kept');
  const names = ['event.jws', 'identity.txt', 'result.age', 'result.wav', 'source.age', 'source.wav', 'trust.jws'];
  assert.deepEqual(readdirSync(kept).sort(), names);
  assert.deepEqual(readdirSync(join(dir, 'tmp')), [], 'something was left in the temporary folder');

  const last = JSON.parse(lines.at(-1)!);
  assert.deepEqual(Object.keys(last), ['ok', 'job', 'source', 'result', 'take', 'settings', 'seconds']);
  assert.deepEqual(Object.keys(last.source), ['digest', 'frames', 'rate', 'channels']);
  assert.deepEqual(Object.keys(last.result), ['digest', 'bytes', 'frames', 'rate', 'channels', 'encoding']);
  assert.deepEqual(Object.keys(last.take), [
    ...['attempts', 'latencyFrames', 'xruns', 'peakDbfs', 'clippedSamples', 'loudnessLufs'],
  ]);
  assert.equal(last.ok, true);
  assert.equal(last.source.digest, sha256(join(kept, 'source.age')));
  assert.equal(last.result.digest, sha256(join(kept, 'result.age')));
  assert.equal(last.result.bytes, readFileSync(join(kept, 'result.age')).length);
  assert.deepEqual([last.take.attempts, last.take.xruns, last.take.clippedSamples], [1, 0, 0]);
  assert.equal(last.seconds.audio, 5);
  const gain = last.settings.find((setting: { name: string }) => setting.name === 'gain');
  assert.deepEqual([gain.requested, gain.readBack, gain.readBackAfter, gain.state], [-6, -6, -6, 'verified']);
  assert.ok(lines.some((line) => JSON.parse(line).courier?.protocol === 'MQTT 3.1.1'));

  const opened = execFileSync('age', ['-d', '-i', 'identity.txt', 'result.age'], { cwd: kept, maxBuffer: 2 ** 28 });
  assert.ok(opened.equals(readFileSync(join(kept, 'result.wav'))));
  const source = samples(join(kept, 'source.wav'));
  const result = samples(join(kept, 'result.wav'));
  assert.equal(result.length, source.length);
  const rms = (values: Int32Array) =>
    Math.sqrt(values.reduce((sum, value) => sum + (value / 2 ** 31) ** 2, 0) / values.length);
  assert.ok(Math.abs(20 * Math.log10(rms(result) / rms(source)) + 6) < 0.01);
  // Sample for sample: the same tone, half as loud, not a frame later. 24-bit dither is two steps at most.
  const ratio = 10 ** (-6 / 20);
  for (let i = 0; i < source.length; i += 97)
    assert.ok(Math.abs(result[i]! - source[i]! * ratio) <= 3 * 256, `sample ${i}`);

  const event = payload(readFileSync(join(kept, 'event.jws'), 'utf8').trim());
  assert.equal(event.certificate.result.digest, last.result.digest);
  assert.equal(event.certificate.source, last.source.digest);
  verifyWithOpenssl(kept);
});

/** The event's signature, by openssl, with the key that the bundle lists under its kid. */
function verifyWithOpenssl(kept: string): void {
  const [header, body, signature] = readFileSync(join(kept, 'event.jws'), 'utf8').trim().split('.') as [
    string,
    string,
    string,
  ];
  const { alg, typ, kid } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
  assert.deepEqual([alg, typ], ['EdDSA', 'outboard-event+jws']);
  const bundle = JSON.parse(readFileSync(join(kept, 'trust.jws'), 'utf8'));
  const { keys } = JSON.parse(Buffer.from(bundle.payload, 'base64url').toString('utf8'));
  const { jwk } = keys.find((key: { kid: string }) => key.kid === kid);
  // SubjectPublicKeyInfo of Ed25519 (RFC 8410) is this prefix and the 32 bytes.
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(jwk.x, 'base64url')]);
  writeFileSync(join(kept, 'rig.der'), der);
  writeFileSync(join(kept, 'signed'), `${header}.${body}`);
  writeFileSync(join(kept, 'signature'), Buffer.from(signature, 'base64url'));
  const key = ['-pubin', '-inkey', 'rig.der', '-keyform', 'DER'];
  const said = execFileSync(
    'openssl',
    ['pkeyutl', '-verify', ...key, '-rawin', '-in', 'signed', '-sigfile', 'signature'],
    {
      cwd: kept,
      encoding: 'utf8',
    },
  );
  assert.match(said, /Verified Successfully/);
}

test('a mono recording at a rate of its own goes through, and people are told what happened', async (t) => {
  const input = '/usr/share/sounds/alsa/Front_Center.wav';
  const { status, lines, stderr } = await demo(t, '--input', input);
  assert.equal(status, 0, stderr);
  const text = lines.join('\n');
  assert.match(stderr, /the courier speaks MQTT 3\.1\.1/);
  assert.match(text, /gain-m +gain +-6 dB +-6 +-6 +verified/);
  assert.match(text, /68545 frames, 48000 Hz, 1 channels, pcm24/);
  assert.match(text, /Nothing was left behind/);
});

test('what cannot be bounced is refused before anything starts', async (t) => {
  const dir = await scratch(t);
  writeFileSync(join(dir, 'text.wav'), 'this is no sound');
  const malformed = await demo(t, '--json', '--input', join(dir, 'text.wav'));
  assert.equal(malformed.status, 65);
  assert.equal(JSON.parse(malformed.lines.at(-1)!).error.code, 'wav.malformed');
  const absent = await demo(t, '--input', join(dir, 'absent.wav'));
  assert.deepEqual([absent.status, /^error file\.unreadable: /m.test(absent.stderr)], [66, true]);
  mkdirSync(join(dir, 'full'));
  writeFileSync(join(dir, 'full/file'), '');
  const full = await demo(t, '--keep', join(dir, 'full'));
  assert.deepEqual([full.status, /^error file\.exists: /m.test(full.stderr)], [73, true]);
  for (const { dir: used } of [malformed, absent, full]) assert.deepEqual(readdirSync(join(used, 'tmp')), []);
});

/** Processes whose command line names a path. */
function processesUnder(path: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(path);
      } catch {
        return false;
      }
    });
}

for (const { what, signal, again } of [
  { what: 'one signal ends the demo in order', signal: 'SIGINT', again: false },
  { what: 'a second signal ends it at once', signal: 'SIGTERM', again: true },
] as const)
  test(`${what}, and no process, no folder is left`, async (t) => {
    const dir = await scratch(t);
    const env = { ...process.env, TMPDIR: dir };
    const child = spawn(process.execPath, [MAIN, 'demo'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.resume();
    const over = once(child, 'exit');
    // The two processes have to be there for their end to mean something.
    await until(() => processesUnder(`${dir}/`).length === 2, 60_000);
    child.kill(signal);
    // Signals that come together are one to the kernel: the second one is sent until it has been taken.
    const repeat = again ? setInterval(() => child.kill(signal), 20) : undefined;
    const [code, by] = await over;
    clearInterval(repeat);
    assert.deepEqual([code, by], again ? [null, signal] : [130, null]);
    // A killed child has to be collected by whoever is its parent by now.
    await until(() => processesUnder(`${dir}/`).length === 0);
    assert.deepEqual(readdirSync(dir), []);
  });
