/** `outboard calibration verify`: whether a document of the history is the one that the rig signed, however long ago. */
import { Command } from 'commander';
import { runDigest } from '../../calibration/history/history.js';
import { type Verified, verifyEnvelope } from '../../certs/envelope.js';
import type { TrustBundle } from '../../certs/trust-bundle.js';
import { CalibrationPayload, RunAnswer, Uuid } from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { readText } from './files.js';
import { createOutput, formatTime } from './output.js';
import { readBundle, readRoots } from './trust-edit.js';

interface VerifyOptions extends SocketOptions {
  trust: string;
  roots: string;
  json?: boolean;
}

export function verifyCommand(): Command {
  return withSocketOptions(new Command('verify'))
    .description(
      'Says whether the document of a run is what the rig signed. Bundles of old keys are good for old runs.',
    )
    .argument('<run>', 'the run, as `outboard calibration history` names it; or a file with its document and token')
    .requiredOption('--trust <file>', "a trust bundle with the rig's key of that time, expired or not")
    .requiredOption('--roots <file>', 'roots.yaml, rig.yaml or client.yaml: the root keys to verify the bundle with')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Examples:
  outboard calibration verify RUN --trust studio/rig/trust.jws --roots studio/rig/rig.yaml
  outboard report --run RUN --json | jq '.inserts[0].runs[0]' > run.json
  outboard calibration verify run.json --trust trust-2026-03.jws --roots roots.yaml`,
    )
    .action(async (run: string, o: VerifyOptions) => {
      const output = createOutput(o);
      const trust = await readBundle(o.trust, await readRoots(o.roots));
      const answer = await documentOf(run, o);
      const { payload, signer } = await verifyRun(answer, trust);
      const { iss, iat, calibration } = payload;
      output.object({ ok: true, signer: iss, kid: signer.kid, at: iat, ...calibration });
      output.line(`run ${calibration.run}, ${calibration.kind} on insert ${calibration.insert}: as it was signed`);
      output.line(`signed by ${iss} at ${formatTime(iat)}, key ${signer.kid}`);
    });
}

async function documentOf(run: string, o: SocketOptions): Promise<RunAnswer> {
  if (!Uuid.safeParse(run).success) {
    const text = await readText(run);
    try {
      return RunAnswer.parse(JSON.parse(text));
    } catch (cause) {
      throw new OutboardError('history.damaged', `${run} holds no document of a run with its token`, { cause });
    }
  }
  const client = await controlClient(o);
  try {
    return await client.get(`/calibration/runs/${run}`, RunAnswer);
  } finally {
    client.close();
  }
}

/**
 * A key is good for what it signed while it was valid, and for nothing once it was revoked: the time that counts is that of the signature.
 * @throws OutboardError envelope.* for a token that is not the rig's; history.damaged for a document that is not the signed one
 */
export async function verifyRun({ document, token }: RunAnswer, trust: TrustBundle): Promise<Verified<'calibration'>> {
  const verified = await verifyEnvelope(token, ['calibration'], { trust, now: signedAt(token) });
  const { run, document: digest } = verified.payload.calibration;
  if (verified.payload.iss !== document.rig || run !== document.run || runDigest(document) !== digest)
    throw new OutboardError('history.damaged', `the document of run ${document.run} is not the one that was signed`, {
      details: { signed: digest, found: runDigest(document) },
    });
  return verified;
}

/** As the token itself says, before it is believed. @throws OutboardError envelope.malformed */
function signedAt(token: string): number {
  try {
    return CalibrationPayload.parse(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).iat;
  } catch (cause) {
    throw new OutboardError('envelope.malformed', 'the token says nothing of a run', { cause });
  }
}
