/** The next version of a bundle: renewed, with keys added and revoked, signed by two people, refused where it would be wrong. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readPrivateJwk, thumbprint } from '../../../certs/keys.js';
import { type TrustBundle, verifyTrust } from '../../../certs/trust-bundle.js';
import { ERRORS } from '../../../core/error-codes.js';
import { isOutboardError } from '../../../core/errors.js';
import { nowSeconds } from '../../../core/units.js';
import { initRig } from '../../../daemon/cli/init-rig.js';
import { nextVersion, readRoots } from '../../../daemon/cli/trust-edit.js';
import { lastObject, outboard } from './run-cli.js';

let base: string;
let dir: string;
const at = (path: string) => join(dir, path);
const out = (name: string) => join(base, name);

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'outboard-trust-'));
  dir = join(base, 'studio');
  await initRig({ dir, rig: 'rig-01', roots: 2, passphrase: ['first person', 'second person'], scryptWorkFactor: 2 });
  await writeFile(out('first'), 'first person\n');
  await writeFile(out('second'), 'second person\n');
});
after(() => rm(base, { recursive: true, force: true }));

async function verified(file: string, current?: TrustBundle): Promise<TrustBundle> {
  const roots = await readRoots(at('roots/roots.yaml'));
  return verifyTrust(await readFile(file, 'utf8'), roots, nowSeconds(), current);
}

const sign = (...args: string[]) =>
  outboard(
    'trust',
    'sign',
    '--from',
    at('roots/trust.jws'),
    '--root',
    at('roots/1/root.key.age'),
    '--passphrase-file',
    out('first'),
    '--json',
    ...args,
  );

test('one person makes it, the other signs it, and then the rig would take it', async () => {
  const current = await verified(at('rig/trust.jws'));
  assert.equal((await outboard('trust', 'key', out('new.jwk'), '--json')).code, 0);
  const signed = await sign(
    '--revoke',
    'dispatcher.main',
    '--add',
    `dispatcher.main=${out('new.jwk')}`,
    '--days',
    '7',
    '--out',
    out('draft.jws'),
  );
  assert.equal(signed.code, 0, signed.stdout);
  assert.equal(lastObject(signed)['missingSignatures'], 1);
  await assert.rejects(verified(out('draft.jws'), current), (e) => isOutboardError(e, 'trust.signature'));

  const cosigned = await outboard(
    'trust',
    'cosign',
    out('draft.jws'),
    '--root',
    at('roots/2/root.key.age'),
    '--passphrase-file',
    out('second'),
    '--out',
    out('v2.jws'),
  );
  assert.equal(cosigned.code, 0, cosigned.stderr);
  assert.match(cosigned.stdout, /dispatcher\.main/);
  const next = await verified(out('v2.jws'), current);
  assert.equal(next.payload.version, 2);
  assert.equal(next.payload.exp - next.payload.iat, 7 * 86_400);
  const oldKid = await thumbprint(await readPrivateJwk(at('dispatcher/key.jwk')));
  const newKid = await thumbprint(await readPrivateJwk(out('new.jwk')));
  assert.throws(
    () => next.lookup(oldKid, nowSeconds()),
    (e) => isOutboardError(e, 'envelope.revoked'),
  );
  assert.equal(next.lookup(newKid, nowSeconds()).name, 'dispatcher.main');

  const again = await outboard(
    'trust',
    'cosign',
    out('v2.jws'),
    '--root',
    at('roots/2/root.key.age'),
    '--passphrase-file',
    out('second'),
    '--out',
    out('v3.jws'),
  );
  assert.equal(again.code, ERRORS.usage.exit);
});

test('show tells whether the signatures were verified', async () => {
  const plain = await outboard('trust', 'show', at('rig/trust.jws'));
  assert.match(plain.stdout, /not verified/);
  const roots = await outboard('trust', 'show', at('rig/trust.jws'), '--roots', at('rig/rig.yaml'), '--json');
  assert.equal(lastObject(roots)['verified'], true);
  const text = await readFile(at('rig/trust.jws'), 'utf8');
  const { payload, signatures } = JSON.parse(text) as { payload: string; signatures: unknown[] };
  await writeFile(out('one.jws'), JSON.stringify({ payload, signatures: signatures.slice(1) }));
  const one = await outboard('trust', 'show', out('one.jws'), '--roots', at('rig/rig.yaml'));
  assert.equal(one.code, ERRORS['trust.signature'].exit);
  await writeFile(out('odd.jws'), '{"a":1}');
  assert.equal((await outboard('trust', 'show', out('odd.jws'))).code, ERRORS['trust.invalid'].exit);
});

test('what would be wrong is refused, and nothing is written', async () => {
  await writeFile(out('there'), 'mine');
  const cases: [string[], keyof typeof ERRORS][] = [
    [['--out', out('there')], 'file.exists'],
    [['--revoke', 'dispatcher.nobody', '--out', out('none')], 'usage'],
    [['--add', `keeper.main=${at('keeper/key.jwk')}`, '--out', out('none')], 'usage'],
    [['--add', `boss.main=${out('other.jwk')}`, '--out', out('none')], 'usage'],
    [['--days', '15', '--out', out('none')], 'usage'],
    [['--roots', at('rig/trust.jws'), '--out', out('none')], 'config.invalid'],
  ];
  await outboard('trust', 'key', out('other.jwk'));
  for (const [args, code] of cases) {
    const ended = await sign(...args);
    assert.equal((lastObject(ended) as { error: { code: string } }).error.code, code, args.join(' '));
  }
  assert.equal(await readFile(out('there'), 'utf8'), 'mine');
  await assert.rejects(readFile(out('none')));
});

test('expired keys leave, a revoked one stays revoked', async () => {
  const { payload } = await verified(at('rig/trust.jws'));
  const late = await nextVersion(payload, { add: [], revoke: [], seconds: 100 }, payload.iat + 32 * 86_400);
  assert.deepEqual(late.keys, []);
  const once = await nextVersion(payload, { add: [], revoke: ['rig-01'], seconds: 100 }, payload.iat + 1);
  assert.equal(once.revoked.length, 2);
  const twice = await nextVersion(once, { add: [], revoke: [], seconds: 100 }, payload.iat + 2);
  assert.deepEqual(twice.revoked, once.revoked);
  const back = { add: [{ name: 'rig-01', file: at('rig/keys/signing.jwk') }], revoke: [], seconds: 100 };
  await assert.rejects(nextVersion(twice, back, payload.iat + 3), /was revoked/);
});
