/** `outboard trust`: look at a bundle, make its next version (that is how keys are renewed and revoked), sign it with others, install it. */
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { writeNewFile } from '../../certs/durable-file.js';
import { generateSigningKey, generateWrappingKey, publicJwk, thumbprint, writePrivateJwk } from '../../certs/keys.js';
import { openRootKey } from '../../certs/root-key.js';
import { signTrust } from '../../certs/trust-bundle.js';
import { JOSE_JSON } from '../../core/contract/envelope.js';
import { Receipt } from '../../core/contract/local-api.js';
import type { Problem } from '../../core/contract/primitives.js';
import { MAX_BUNDLE_LIFETIME_SECONDS, type TrustPayload } from '../../core/contract/trust.js';
import { ERRORS, type ErrorCode } from '../../core/error-codes.js';
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import { controlClient, type SocketOptions, withSocketOptions } from './control-client.js';
import { readText, refuseExistingFile } from './files.js';
import { PUBLIC_FILE } from './new-tree.js';
import { createOutput, formatSpan, formatTime, type Output } from './output.js';
import { existingPassphrases } from './passphrase.js';
import { cosign, nextVersion, readBundle, readRoots, readUnverified } from './trust-edit.js';

const DAY_SECONDS = 86_400;
const MAX_DAYS = MAX_BUNDLE_LIFETIME_SECONDS / DAY_SECONDS;

export function trustCommand(): Command {
  return new Command('trust')
    .description(
      'Shows, renews and signs trust bundles; revokes keys. To revoke is to publish a version without the key.',
    )
    .addCommand(showCommand())
    .addCommand(keyCommand())
    .addCommand(signCommand())
    .addCommand(cosignCommand())
    .addCommand(installCommand());
}

function showCommand(): Command {
  return new Command('show')
    .description('Shows who has which key until when. With --roots the signatures are verified.')
    .argument('<file>', 'trust.jws')
    .option('--roots <file>', 'roots.yaml, rig.yaml or client.yaml: the root keys to verify with')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  outboard trust show studio/rig/trust.jws --roots studio/rig/rig.yaml\n  outboard trust show trust.jws --json',
    )
    .action(async (file: string, o: { roots?: string; json?: boolean }) => {
      const output = createOutput(o);
      const { payload, signedBy } = readUnverified(await readText(file), file);
      if (o.roots !== undefined) await readBundle(file, await readRoots(o.roots));
      const verified = o.roots !== undefined;
      output.object({ ok: true, verified, signedBy, expired: payload.exp <= nowSeconds(), ...payload });
      showBundle(output, payload);
      output.line(
        verified
          ? 'signatures: verified, by the threshold of the root keys'
          : `signatures: ${signedBy.length}, not verified (name the root keys with --roots)`,
      );
    });
}

function keyCommand(): Command {
  return new Command('key')
    .description('Makes a new private key. Every key lives at most 31 days; make its successor before.')
    .argument('<file>', 'new JWK file, mode 0600')
    .option('--wrapping', "a rig's wrapping key (X25519) instead of a signing key (Ed25519)")
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      '\nExample: a new key for a dispatcher\n  outboard trust key studio/dispatcher/key-2.jwk\n' +
        '  outboard trust sign --from studio/roots/trust.jws --root studio/roots/root.key.age \\\n' +
        '    --add dispatcher.main=studio/dispatcher/key-2.jwk --out trust-2.jws',
    )
    .action(async (file: string, o: { wrapping?: boolean; json?: boolean }) => {
      const output = createOutput(o);
      const jwk = o.wrapping ? await generateWrappingKey() : await generateSigningKey();
      await writePrivateJwk(file, jwk);
      const kid = await thumbprint(jwk);
      output.object({ ok: true, file, kid, jwk: publicJwk(jwk) });
      output.line(`${file}  kid ${kid}`);
      output.line(`public half, for \`outboard trust sign --add\`: ${JSON.stringify(publicJwk(jwk))}`);
    });
}

interface SignOptions {
  from: string;
  root: string[];
  out: string;
  roots?: string;
  passphraseFile?: string;
  add: { name: string; file: string }[];
  revoke: string[];
  days: number;
  json?: boolean;
}

function signCommand(): Command {
  return new Command('sign')
    .description('Makes the next version of a bundle and signs it: renews its life, adds keys, revokes keys.')
    .requiredOption('--from <file>', 'the bundle in force')
    .requiredOption('--root <file>', 'a root key (root.key.age); may be given several times', collect, [])
    .requiredOption('--out <file>', 'the new bundle; nothing is overwritten')
    .option('--roots <file>', 'the pinned root keys (default: roots.yaml beside --from)')
    .option('--add <name=file>', 'a new key, private or public JWK; may be given several times', collectAdd, [])
    .option('--revoke <name or kid>', 'revoke a key, or all keys of a name', collect, [])
    .option('--days <n>', `life of the new version, 1 to ${MAX_DAYS}`, parseDays, MAX_DAYS)
    .option('--passphrase-file <file>', 'passphrases, a line for each --root (asked for on a terminal otherwise)')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Examples:
  # the same keys for another 14 days
  outboard trust sign --from studio/roots/trust.jws --root studio/roots/root.key.age --out trust-2.jws
  # a stolen dispatcher key: revoke it, give the dispatcher a new one
  outboard trust sign --from trust-2.jws --roots studio/roots/roots.yaml --root studio/roots/root.key.age \\
    --revoke dispatcher.main --add dispatcher.main=studio/dispatcher/key-2.jwk --out trust-3.jws
  # where the threshold is two, the second person adds a signature
  outboard trust cosign trust-3.jws --root their/root.key.age --out trust-3-signed.jws

Then bring it to the rig: \`outboard trust install\` on its host, or as keeper, retained, on the topic outboard/v1/trust.`,
    )
    .action(async (o: SignOptions) => {
      const output = createOutput(o);
      await refuseExistingFile(o.out);
      const roots = await readRoots(o.roots ?? join(dirname(o.from), 'roots.yaml'));
      const current = await readBundle(o.from, roots);
      const now = nowSeconds();
      const changes = { add: o.add, revoke: o.revoke, seconds: o.days * DAY_SECONDS };
      const payload = await nextVersion(current.payload, changes, now);
      const text = await signTrust(payload, await openRoots(o.root, o.passphraseFile));
      await writeNewFile(o.out, Buffer.from(text), PUBLIC_FILE);
      const missing = Math.max(0, roots.threshold - o.root.length);
      output.object({ ok: true, file: o.out, missingSignatures: missing, ...payload });
      showBundle(output, payload);
      output.line(
        missing > 0
          ? `${o.out}: ${missing} more ${missing === 1 ? 'signature is' : 'signatures are'} needed (outboard trust cosign)`
          : `${o.out}: signed; now install or publish it`,
      );
    });
}

function cosignCommand(): Command {
  return new Command('cosign')
    .description('Adds the signature of another root key to a bundle. Read what you sign: it is shown.')
    .argument('<file>', 'the bundle that another person signed')
    .requiredOption('--root <file>', 'your root key (root.key.age)')
    .requiredOption('--out <file>', 'the bundle with both signatures; nothing is overwritten')
    .option('--passphrase-file <file>', 'its passphrase (asked for on a terminal otherwise)')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  outboard trust cosign trust-3.jws --root root.key.age --out trust-3-signed.jws',
    )
    .action(async (file: string, o: { root: string; out: string; passphraseFile?: string; json?: boolean }) => {
      const output = createOutput(o);
      await refuseExistingFile(o.out);
      const text = await readText(file);
      const { payload, signedBy } = readUnverified(text, file);
      showBundle(output, payload);
      const [key] = await openRoots([o.root], o.passphraseFile);
      await writeNewFile(o.out, Buffer.from(await cosign(text, file, key!)), PUBLIC_FILE);
      output.object({ ok: true, file: o.out, signatures: signedBy.length + 1, version: payload.version });
      output.line(`${o.out}: ${signedBy.length + 1} signatures`);
    });
}

function installCommand(): Command {
  return withSocketOptions(new Command('install'))
    .description('Installs a bundle on the rig of this host, over control.sock.')
    .argument('<file>', 'trust.jws')
    .option('--json', 'JSON on stdout')
    .addHelpText('after', '\nExample:\n  outboard trust install trust-3.jws --config /etc/outboard/rig.yaml')
    .action(async (file: string, o: SocketOptions & { json?: boolean }) => {
      const output = createOutput(o);
      const text = await readText(file);
      const { payload } = readUnverified(text, file);
      const client = await controlClient(o);
      try {
        const receipt = await client.post('/trust', { type: JOSE_JSON, content: text }, Receipt);
        if (receipt.problem) throw refusal(receipt.problem);
        output.object({ ok: true, version: payload.version, verdict: receipt.verdict });
        output.line(
          receipt.verdict === 'known'
            ? `version ${payload.version} is in force already`
            : `version ${payload.version} is in force now`,
        );
      } finally {
        client.close();
      }
    });
}

/** The rig's refusal as an error of its own code. */
function refusal({ code, message }: Problem): OutboardError {
  const known = Object.hasOwn(ERRORS, code);
  return new OutboardError(known ? (code as ErrorCode) : 'rig.answer', known ? message : `${code}: ${message}`);
}

function showBundle(output: Output, payload: TrustPayload): void {
  const now = nowSeconds();
  output.table(
    payload.keys.map((key) => [
      key.name,
      key.role,
      key.use,
      `${formatTime(key.exp)}${key.exp <= now ? ' (expired)' : ''}`,
      key.kid,
    ]),
    ['NAME', 'ROLE', 'USE', 'UNTIL', 'KID'],
  );
  for (const kid of payload.revoked) output.line(`revoked: ${kid}`);
  const left = payload.exp - now;
  output.line(
    `version ${payload.version}, until ${formatTime(payload.exp)} ${left > 0 ? `(${formatSpan(left)})` : '(expired)'}`,
  );
}

/** Root keys one after the other: opening one takes a second and 256 MiB on purpose. */
async function openRoots(files: string[], passphraseFile: string | undefined) {
  const passphrases = await existingPassphrases(
    passphraseFile,
    files.map((file) => `passphrase of ${file}`),
  );
  const keys = [];
  for (const [i, file] of files.entries()) keys.push(await openRootKey(file, passphrases[i]!));
  return keys;
}

function collect(value: string, all: string[]): string[] {
  return [...all, value];
}

function collectAdd(value: string, all: { name: string; file: string }[]) {
  const split = value.indexOf('=');
  if (split <= 0 || split === value.length - 1) throw new InvalidArgumentError('write name=file');
  return [...all, { name: value.slice(0, split), file: value.slice(split + 1) }];
}

function parseDays(value: string): number {
  const days = Number(value);
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS)
    throw new InvalidArgumentError(`a whole number from 1 to ${MAX_DAYS}`);
  return days;
}
