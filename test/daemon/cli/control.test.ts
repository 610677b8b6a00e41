/** `status`, `interface check`, `maintenance` and `trust install` against a control socket that the test plays, with node's own HTTP and crypto. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ERRORS } from '../../../core/error-codes.js';
import { scratch } from '../../peers/scratch.js';
import { lastObject, outboard } from './run-cli.js';

interface Heard {
  method: string;
  url: string;
  type: string | undefined;
  body: string;
  /** Number of the connection it came on. */
  connection: number;
}

type Answer = (heard: Heard, response: ServerResponse) => void;

async function playRig(t: TestContext, answer: Answer): Promise<{ socket: string; heard: Heard[]; dir: string }> {
  const dir = await scratch(t);
  const socket = join(dir, 'control.sock');
  const heard: Heard[] = [];
  const connections = new Map<unknown, number>();
  const server = createServer(async (request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (!connections.has(request.socket)) connections.set(request.socket, connections.size + 1);
    const one: Heard = {
      method: request.method!,
      url: request.url!,
      type: request.headers['content-type'],
      body: Buffer.concat(chunks).toString(),
      connection: connections.get(request.socket)!,
    };
    heard.push(one);
    response.setHeader('content-type', 'application/json');
    answer(one, response);
  });
  server.listen(socket);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { socket, heard, dir };
}

const NOW = Math.floor(Date.now() / 1000);
const STATUS = {
  state: {
    mode: 'maintenance',
    since: NOW - 90,
    maintenance: { until: NOW + 600, reason: 'new cable on insert a' },
    epoch: 1,
    version: '0.1.0',
    virtual: true,
    audit: { seq: 12, head: 'abc' },
    trust: { version: 3, exp: NOW + 86_400 },
    jobs: { ready: 1 },
    processors: [{ name: 'gain-1', profile: 'virtual.gain', insert: 'a', state: 'ready' }],
    inserts: [{ name: 'a', channels: 2 }],
    rates: [48_000],
  },
  rig: 'rig-01',
  health: [
    {
      subsystem: 'host',
      status: 'degraded',
      checks: [{ name: 'clock', status: 'degraded', detail: 'nobody checks the clock' }],
    },
  ],
  link: { broker: 'connected', protocol: 'MQTT 5', store: 'reachable', certificateExpires: NOW + 1000 },
  jobs: [
    {
      job: '6f9c4c1e-0000-4000-8000-000000000001',
      dispatcher: 'dispatcher.main',
      state: 'ready',
      attempt: 0,
      progress: { phase: 'fetching', percent: 40 },
      updatedAt: NOW - 5,
      problem: null,
    },
  ],
  counters: {},
};

test('status shows mode, health, processors and jobs; --json is what the rig said', async (t) => {
  const { socket } = await playRig(t, (_, response) => response.end(JSON.stringify(STATUS)));
  const people = await outboard('status', '--socket', socket);
  assert.equal(people.code, 0, people.stderr);
  for (const text of [
    'maintenance',
    'new cable',
    'simulated interface',
    'gain-1',
    'fetching 40 %',
    'nobody checks',
    'MQTT 5',
  ])
    assert.ok(people.stdout.includes(text), text);
  const programs = await outboard('status', '--socket', socket, '--json');
  assert.deepEqual(lastObject(programs), { ok: true, ...STATUS });
});

const PROOF = {
  exclusive: true,
  device: 'hw:CARD=Loop,DEV=0',
  detail: 'another process was refused with EBUSY',
  checks: [
    { name: 'owner', holds: true, detail: 'every sub-device is owned by a thread of this process' },
    { name: 'busy-probe', holds: true, detail: 'another process was refused with EBUSY' },
    { name: 'hw-params', holds: null, detail: 'no stream runs' },
  ],
};
const INTERFACE = {
  rig: 'rig-01',
  driver: 'alsa',
  device: { playback: 'hw:CARD=Loop,DEV=0', capture: 'hw:CARD=Loop,DEV=0' },
  mode: 'ready',
  problem: null,
  proof: PROOF,
  checks: [
    { name: 'latency', status: 'ok', detail: '64 frames, measured through the sync wire', value: 64, unit: 'frames' },
    { name: 'faults', status: 'ok', detail: 'no fault since the start', value: 0, unit: '1' },
  ],
};

test('interface check has the rig prove its hold, line by line', async (t) => {
  const { socket, heard } = await playRig(t, (_, response) => response.end(JSON.stringify(INTERFACE)));
  const people = await outboard('interface', 'check', '--socket', socket);
  assert.equal(people.code, 0, people.stderr);
  assert.deepEqual(
    heard.map(({ method, url }) => `${method} ${url}`),
    ['GET /interface?probe=true'],
  );
  assert.deepEqual(
    people.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/ {2,}/g, ' | ')),
    [
      'ok | claim | hw:CARD=Loop,DEV=0, driver alsa',
      'ok | owner | every sub-device is owned by a thread of this process',
      'ok | busy-probe | another process was refused with EBUSY',
      '? | hw-params | no stream runs',
      'ok | latency | 64 frames, measured through the sync wire',
      'ok | faults | no fault since the start',
    ],
  );
  const programs = await outboard('interface', 'check', '--socket', socket, '--json');
  assert.deepEqual(lastObject(programs), { ok: true, ...INTERFACE });
});

test('interface check ends otherwise than with 0 where the hold is not exclusive, or there is none', async (t) => {
  const problem = { code: 'audio.gone', message: 'the rig waits for hw:CARD=Loop,DEV=0', advice: 'Check the cable.' };
  const refuted = { name: 'busy-probe', holds: false, detail: 'another process got playback open' };
  let answer: object = { ...INTERFACE, proof: { ...PROOF, exclusive: false, checks: [refuted] } };
  const { socket, dir } = await playRig(t, (_, response) => response.end(JSON.stringify(answer)));
  const shared = await outboard('interface', 'check', '--socket', socket);
  assert.equal(shared.code, ERRORS['audio.busy'].exit);
  assert.match(shared.stdout, /^FAIL {2}claim /m);
  assert.match(shared.stdout, /^FAIL {2}busy-probe {2}another process got playback open$/m);
  answer = { ...INTERFACE, mode: 'faulted', proof: null, problem };
  const gone = await outboard('interface', 'check', '--socket', socket);
  assert.equal(gone.code, ERRORS['audio.gone'].exit);
  assert.match(gone.stdout, /^FAIL {2}claim .* is not held/m);
  assert.match(
    gone.stdout,
    /^FAIL {2}problem .*the rig waits for hw:CARD=Loop,DEV=0 \[audio\.gone\] Check the cable\.$/m,
  );
  assert.equal(lastObject(await outboard('interface', 'check', '--socket', socket, '--json'))['ok'], false);
  const away = await outboard('interface', 'check', '--socket', join(dir, 'none.sock'));
  assert.equal(away.code, ERRORS['rig.unreachable'].exit);
  assert.match(away.stderr, /^error rig\.unreachable: /);
});

test('a rig that is not there, or talks nonsense, is said so', async (t) => {
  const { socket, dir } = await playRig(t, (_, response) => response.end('{"mode":"fine"}'));
  const away = await outboard('status', '--socket', join(dir, 'none.sock'));
  assert.equal(away.code, ERRORS['rig.unreachable'].exit);
  assert.match(away.stderr, /^error rig\.unreachable: /);
  const nonsense = await outboard('status', '--socket', socket, '--json');
  assert.equal((lastObject(nonsense) as { error: { code: string } }).error.code, 'rig.answer');
  const both = await outboard('status', '--socket', socket, '--config', 'rig.yaml');
  assert.equal(both.code, ERRORS.usage.exit);
});

test('a session is a nonce, signed and sent back on the connection it came on', async (t) => {
  const nonce = 'n'.repeat(43);
  const { socket, heard, dir } = await playRig(t, (one, response) =>
    response.end(
      JSON.stringify(
        one.method === 'GET' ? { nonce, rig: 'rig-01', seconds: 60 } : { mode: 'draining', until: NOW + 1800 },
      ),
    ),
  );
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const key = join(dir, 'key.jwk');
  await writeFile(key, JSON.stringify(privateKey.export({ format: 'jwk' })), { mode: 0o600 });
  const ended = await outboard(
    'maintenance',
    'enter',
    '--socket',
    socket,
    '--key',
    key,
    '--name',
    'technician.anna',
    '--reason',
    'new cable',
    '--for',
    '1800',
    '--json',
  );
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  assert.deepEqual(lastObject(ended), { ok: true, mode: 'draining', until: NOW + 1800 });
  assert.deepEqual(
    heard.map(({ method, url, type, connection }) => [method, url, type, connection]),
    [
      ['GET', '/session/nonce', undefined, 1],
      ['POST', '/session', 'application/jose', 1],
    ],
  );
  const [header, payload, signature] = heard[1]!.body.split('.') as [string, string, string];
  const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
  assert.equal(decode(header).typ, 'outboard-session+jws');
  const claims = decode(payload);
  assert.equal(claims.iss, 'technician.anna');
  assert.equal(claims.aud, 'rig-01');
  assert.ok(claims.exp - claims.iat <= 60);
  assert.deepEqual(claims.session, { nonce, action: 'maintenance.enter', reason: 'new cable', seconds: 1800 });
  const signed = Buffer.from(`${header}.${payload}`);
  assert.ok(
    verify(
      null,
      signed,
      createPublicKey(publicKey.export({ format: 'pem', type: 'spki' })),
      Buffer.from(signature, 'base64url'),
    ),
  );
});

test('a refusal keeps the code of the rig; a key that others can read is refused here', async (t) => {
  const { socket, dir, heard } = await playRig(t, (one, response) => {
    if (one.method === 'GET')
      return response.end(JSON.stringify({ nonce: 'n'.repeat(43), rig: 'rig-01', seconds: 60 }));
    response.statusCode = 403;
    return response.end(JSON.stringify({ code: 'envelope.role', message: 'no technician', advice: 'x' }));
  });
  const { privateKey } = generateKeyPairSync('ed25519');
  const args = (key: string) => ['maintenance', 'exit', '--socket', socket, '--key', key, '--reason', 'done', '--json'];
  const open = join(dir, 'open.jwk');
  await writeFile(open, JSON.stringify(privateKey.export({ format: 'jwk' })), { mode: 0o644 });
  const readable = await outboard(...args(open));
  assert.equal(readable.code, ERRORS['config.key'].exit);
  assert.equal(heard.length, 0);
  const key = join(dir, 'key.jwk');
  await writeFile(key, JSON.stringify(privateKey.export({ format: 'jwk' })), { mode: 0o600 });
  const refused = await outboard(...args(key));
  assert.equal(refused.code, ERRORS['envelope.role'].exit);
  assert.equal((lastObject(refused) as { error: { code: string } }).error.code, 'envelope.role');
  const short = await outboard('maintenance', 'exit', '--socket', socket, '--key', key, '--reason', 'x');
  assert.equal(short.code, ERRORS.usage.exit);
});

test('maintenance status says until when and why', async (t) => {
  const { socket } = await playRig(t, (_, response) => response.end(JSON.stringify(STATUS)));
  const ended = await outboard('maintenance', 'status', '--socket', socket, '--json');
  assert.deepEqual(lastObject(ended), {
    ok: true,
    rig: 'rig-01',
    mode: 'maintenance',
    maintenance: STATUS.state.maintenance,
    rolling: 0,
  });
});

test('a bundle that the rig refuses is an error with the code of the rig', async (t) => {
  const key = {
    kid: 'k'.repeat(43),
    name: 'rig-01',
    role: 'rig',
    use: 'sig',
    jwk: { kty: 'OKP', crv: 'Ed25519', x: 'x'.repeat(43) },
  };
  const payload = {
    version: 4,
    iat: NOW,
    exp: NOW + 86_400,
    keys: [{ ...key, nbf: NOW, exp: NOW + 86_400 }],
    revoked: [],
  };
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = JSON.stringify({
    payload: encode(payload),
    signatures: [{ protected: encode({ kid: 'r'.repeat(43) }), signature: 'AA' }],
  });
  const problem = { code: 'trust.version', message: 'version 4 is older than 5', advice: 'x' };
  let verdict: object = { verdict: 'refused', problem };
  const { socket, dir, heard } = await playRig(t, (_, response) => response.end(JSON.stringify(verdict)));
  const file = join(dir, 'trust.jws');
  await writeFile(file, text);
  const refused = await outboard('trust', 'install', file, '--socket', socket);
  assert.equal(refused.code, ERRORS['trust.version'].exit);
  assert.match(refused.stderr, /^error trust\.version: version 4 is older than 5\n/);
  verdict = { verdict: 'applied' };
  const applied = await outboard('trust', 'install', file, '--socket', socket, '--json');
  assert.deepEqual(lastObject(applied), { ok: true, version: 4, verdict: 'applied' });
  assert.deepEqual(
    [heard[1]!.method, heard[1]!.url, heard[1]!.type, heard[1]!.body],
    ['POST', '/trust', 'application/jose+json', text],
  );
});
