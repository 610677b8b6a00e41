import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { compactDecrypt, importJWK } from 'jose';
import { loadSigner } from '../../certs/keys.js';
import { verifyTrust } from '../../certs/trust-bundle.js';
import { makeGrant } from '../../client/keeper.js';
import * as peer from '../certs/peer.js';

const RIG = 'rig-01';
const keeper = peer.party('keeper.main', 'keeper');
const rigSigns = peer.party(RIG, 'rig');
const rigWraps = peer.party(RIG, 'rig', 'X25519');

async function request(keys: peer.Party[]) {
  const text = peer.trustDocument(peer.trustPayload(keys.map((key) => peer.listed(key))), [peer.root]);
  return {
    keeper: await loadSigner('keeper.main', keeper.jwk),
    trust: await verifyTrust(text, peer.roots, peer.NOW),
    rig: RIG,
    dispatcher: 'dispatcher.main',
    job: '0b8f1c1e-7c86-4b7a-9d5c-0f9f6f2a1b3c',
    tenant: 'tenant-4711',
    source: peer.SOURCE,
    recipients: [peer.RECIPIENT],
    identity: randomBytes(32),
    now: peer.NOW,
  };
}

describe('a grant', () => {
  it('names what it is for, and carries the key to the rig with what it is bound to', async () => {
    const asked = await request([keeper, rigSigns, rigWraps]);
    const token = await makeGrant(asked);
    // The third part is a signature: bytes that now and then begin like an object.
    const [header, payload] = token
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(text(part)));
    assert.deepEqual(header, { alg: 'EdDSA', typ: 'outboard-grant+jws', kid: keeper.kid });
    const { key, jti, ...rest } = payload;
    assert.match(jti, /^[0-9a-f-]{36}$/);
    assert.deepEqual(rest, {
      iss: 'keeper.main',
      aud: RIG,
      iat: peer.NOW,
      exp: peer.NOW + peer.DAY,
      dispatcher: asked.dispatcher,
      job: asked.job,
      tenant: asked.tenant,
      source: asked.source,
      recipients: asked.recipients,
    });
    // The rig's side, with jose alone.
    const opened = await compactDecrypt(key, await importJWK({ ...rigWraps.jwk }, 'ECDH-ES+A256KW'));
    assert.deepEqual(opened.protectedHeader.alg, 'ECDH-ES+A256KW');
    const bound = peer.json({ rig: RIG, tenant: asked.tenant, source: asked.source, recipients: asked.recipients });
    assert.deepEqual(
      Buffer.from(opened.plaintext),
      Buffer.concat([asked.identity, createHash('sha256').update(bound).digest()]),
    );
  });

  it('is not made for a rig whose wrapping key the bundle does not name', async () => {
    await assert.rejects(makeGrant(await request([keeper, rigSigns])), { code: 'envelope.unknown-key' });
  });
});

/** The signature is no JSON. */
function text(part: string): string {
  return Buffer.from(part, 'base64url').toString();
}
