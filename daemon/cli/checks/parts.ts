/** What rig, courier and client have in common: trust bundle, private keys, transport certificates. All of it only reads. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { type Curve, readPrivateJwk, thumbprint } from '../../../certs/keys.js';
import { certificateFacts, needsRenewal } from '../../../certs/transport-ca.js';
import { type TrustBundle, verifyTrust } from '../../../certs/trust-bundle.js';
import { tlsFiles } from '../../../client/tls-files.js';
import type { TlsFiles } from '../../../core/contract/config.js';
import type { Roots, TrustKey } from '../../../core/contract/trust.js';
import { OutboardError } from '../../../core/errors.js';
import { readText } from '../files.js';
import { formatSpan, formatTime } from '../output.js';
import { type CheckReport, type Finding, only } from './report.js';

type Resolve = (path: string) => string;

/** Signatures, clock, expiry; a warning from half of its life on. @param now wall clock, seconds */
export function checkTrust(
  report: CheckReport,
  file: string | undefined,
  roots: Roots,
  now: number,
): Promise<TrustBundle | undefined> {
  return report.run('trust bundle', async () => {
    if (file === undefined)
      throw new OutboardError('trust.missing', 'the configuration names no bundle (trust.bundle)');
    const bundle = await verifyTrust(await readText(file), roots, now);
    const { version, exp } = bundle.payload;
    const text = `version ${version}, ${roots.threshold} of ${roots.keys.length} root keys must sign, until ${until(exp, now)}`;
    return {
      finding:
        now >= bundle.halfLife ? { warn: `${text}: more than half of its life is over, publish a new one` } : text,
      value: bundle,
    };
  });
}

/** A private key: its file, its kind, and that the bundle lists it under this name. */
export async function checkKey(
  report: CheckReport,
  what: string,
  o: { file: string; curve: Curve; name: string; bundle: TrustBundle | undefined; now: number },
): Promise<void> {
  await report.run(what, async () => {
    const kid = await thumbprint(await readPrivateJwk(o.file, o.curve));
    if (o.bundle === undefined) return only({ warn: `kid ${kid}; not looked up, there is no good trust bundle` });
    const row: TrustKey = o.bundle.lookup(kid, o.now);
    if (row.name !== o.name)
      throw new OutboardError('envelope.issuer', `the trust bundle lists this key as ${row.name}, not as ${o.name}`);
    const text = `${o.name}, kid ${kid}, until ${until(row.exp, o.now)}`;
    const due = o.now >= row.nbf + ((row.exp - row.nbf) * 2) / 3;
    return only(due ? { warn: `${text}: two thirds of its life are over, make a new one` } : text);
  });
}

/** A TLS identity: readable, the key private and of this certificate, issued by this authority, in force, with the right CN. */
export async function checkTls(
  report: CheckReport,
  what: string,
  o: { files: TlsFiles; resolve: Resolve; commonName: string; now: number },
): Promise<void> {
  await report.run(what, async () => {
    const { ca, cert, key } = await tlsFiles(o.files, o.resolve)();
    const where = o.resolve(o.files.cert);
    const refuse = (why: string) => new OutboardError('config.key', `${where}: ${why}`, { details: { file: where } });
    const facts = certificateFacts(cert);
    if (facts.commonName !== o.commonName)
      throw refuse(`the CN is ${facts.commonName}, ${o.commonName} is needed: it is the MQTT user name`);
    if (!issuedBy(cert, ca)) throw refuse(`was not issued by ${o.resolve(o.files.ca)}`);
    if (!belongsTo(cert, key)) throw refuse(`${o.resolve(o.files.key)} is the key of another certificate`);
    if (o.now >= facts.notAfter) throw refuse(`expired ${formatSpan(o.now - facts.notAfter)} ago`);
    if (o.now < facts.notBefore) throw refuse(`is not valid before ${formatTime(facts.notBefore)}`);
    const text = `${facts.commonName}, until ${until(facts.notAfter, o.now)}`;
    return only(needsRenewal(cert, o.now) ? { warn: `${text}: due for renewal (outboard tls renew)` } : text);
  });
}

/** A file that only its owner may read, of exactly this many bytes. @throws OutboardError config.key */
export async function checkSecretFile(file: string, bytes: number): Promise<Finding> {
  const found = await stat(file).catch((cause) => {
    throw new OutboardError('config.key', `${file}: cannot be read (${cause.code})`, { cause });
  });
  const mode = found.mode & 0o777;
  if (mode !== 0o600 && mode !== 0o400)
    throw new OutboardError('config.key', `${file}: mode is 0${mode.toString(8)}, 0600 or 0400 is needed`);
  if (found.size !== bytes)
    throw new OutboardError('config.key', `${file}: has ${found.size} bytes, ${bytes} raw bytes are needed`);
  return `${file}, ${bytes} bytes`;
}

export function until(at: number, now: number): string {
  return `${formatTime(at)} (${formatSpan(at - now)})`;
}

function issuedBy(cert: string, ca: string): boolean {
  const authority = new X509Certificate(ca);
  const leaf = new X509Certificate(cert);
  return leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
}

function belongsTo(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}
