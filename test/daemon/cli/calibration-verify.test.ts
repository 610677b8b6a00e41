/** An old run is believed by its signature and its digest, at the time at which it was signed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDigest } from '../../../calibration/history/history.js';
import type { CalibrationRun } from '../../../core/contract/index.js';
import { verifyRun } from '../../../daemon/cli/calibration-verify.js';
import { bundle, DAY, listed, NOW, party, RIG, token } from '../../certs/peer.js';
import { calibrationRun, unlimited } from '../../peers/calibration-runs.js';

const rig = party(RIG, 'rig');
const THEN = NOW - 300 * DAY;
const OLD_KEY = listed(rig, { nbf: THEN - DAY, exp: THEN + 20 * DAY });
const RUN = { ...unlimited(calibrationRun({ n: 1 })), rig: RIG };

function signed(document: CalibrationRun, at = THEN, signer = rig, iss: string = RIG) {
  const { run, insert, kind, passed, virtual } = document;
  const calibration = { run, insert, kind, document: runDigest(document), passed, virtual };
  return { document, token: token(signer, 'calibration', { iss, iat: at, calibration }) };
}

test('a key is good for what it signed while it was valid', async () => {
  const trust = await bundle([OLD_KEY]);
  assert.equal((await verifyRun(signed(RUN), trust)).signer.kid, rig.kid);
  await assert.rejects(verifyRun(signed(RUN, NOW), trust), { code: 'envelope.expired' });
  await assert.rejects(verifyRun(signed(RUN, THEN - 2 * DAY), trust), { code: 'envelope.not-yet-valid' });
  await assert.rejects(verifyRun(signed(RUN), await bundle([])), { code: 'envelope.unknown-key' });
  await assert.rejects(verifyRun(signed(RUN), await bundle([OLD_KEY], { revoked: [rig.kid] })), {
    code: 'envelope.revoked',
  });
});

test('another document, another signer and a torn token are told apart', async () => {
  const trust = await bundle([OLD_KEY]);
  const other = party(RIG, 'rig');
  const changed = { ...RUN, measurements: RUN.measurements.map((m) => ({ ...m, value: -120 })) };
  await assert.rejects(verifyRun({ ...signed(RUN), document: changed }, trust), { code: 'history.damaged' });
  await assert.rejects(verifyRun({ ...signed(RUN), document: { ...RUN, rig: 'rig-02' } }, trust), {
    code: 'history.damaged',
  });
  const { token: foreign } = signed(RUN, THEN, other);
  const [, payload, signature] = foreign.split('.');
  const forged = [signed(RUN).token.split('.')[0], payload, signature].join('.');
  await assert.rejects(verifyRun({ document: RUN, token: forged }, trust), { code: 'envelope.signature' });
  await assert.rejects(verifyRun({ document: RUN, token: 'a.b.c' }, trust), { code: 'envelope.malformed' });
});
