/**
 * The transport authority of a rig's folder: its sealed key, who got which certificate, which ones are revoked. X.509 is for TLS only;
 * who may say what is in the trust bundle.
 */

import { Decrypter, Encrypter } from 'age-encryption';
import { z } from 'zod';
import {
  type CertificateAndKey,
  certificateFacts,
  createCa,
  createCrl,
  issueClient,
  issueServer,
} from '../../certs/transport-ca.js';
import { Seconds } from '../../core/contract/primitives.js';
import { OutboardError } from '../../core/errors.js';

/** Paths inside the folder that `outboard init` makes. */
export const CA_CERT = 'roots/transport-ca.pem';
export const CA_KEY = 'roots/transport-ca.key.age';
export const LEDGER = 'roots/transport-ledger.json';
/** Holders that check revocations: they get the list. */
export const CRL_FOLDERS = ['broker', 'store'] as const;

const Issued = z.strictObject({ serial: z.string(), name: z.string(), folder: z.string(), notAfter: Seconds });
/** A holder's `tls/` folder. The first name is the CN; a server's other names are those it is reached by. */
const Place = z.strictObject({
  folder: z.string().regex(/^[a-z0-9-]+$/),
  kind: z.enum(['client', 'server']),
  names: z.array(z.string()).min(1),
});
export type Place = z.infer<typeof Place>;

/** What the authority remembers. It holds no secret. */
export const Ledger = z.strictObject({
  places: z.array(Place),
  issued: z.array(Issued),
  revoked: z.array(z.strictObject({ serial: z.string(), name: z.string(), revokedAt: Seconds })),
  crlNumber: z.int().min(1),
  crlExpires: Seconds,
});
export type Ledger = z.infer<typeof Ledger>;

const CRL_DAYS = 30;
const DAY_SECONDS = 86_400;

/** A file of a holder's `tls/` folder. */
export interface TlsFile {
  path: string;
  content: string;
  secret: boolean;
}

/** A new authority with nothing issued. */
export async function newAuthority(rig: string, now: number): Promise<{ ca: CertificateAndKey; ledger: Ledger }> {
  const ca = await createCa({ name: `outboard-transport-${rig}`, now });
  return { ca, ledger: { places: [], issued: [], revoked: [], crlNumber: 0, crlExpires: now } };
}

/** Issues a certificate for a holder and enters it. Returns the files of its `tls/` folder. */
export async function issueTo(ca: CertificateAndKey, ledger: Ledger, place: Place, now: number): Promise<TlsFile[]> {
  // Before the first wait: several are issued at once, and their order shall not depend on who is faster.
  if (!ledger.places.some((other) => other.folder === place.folder)) ledger.places.push(place);
  const made = await (place.kind === 'server'
    ? issueServer(ca, place.names, { now })
    : issueClient(ca, place.names[0]!, { now }));
  const { serial, notAfter } = certificateFacts(made.certPem);
  ledger.issued = ledger.issued.filter((row) => row.notAfter > now);
  ledger.issued.push({ serial, name: place.names[0]!, folder: place.folder, notAfter });
  const file = (name: string, content: string, secret: boolean) => ({
    path: `${place.folder}/tls/${name}`,
    content,
    secret,
  });
  return [file('ca.pem', ca.certPem, false), file('key.pem', made.keyPem, true), file('cert.pem', made.certPem, false)];
}

/** The current list of revoked certificates, for those who check it. */
export function crlFiles(ca: CertificateAndKey, ledger: Ledger, now: number): TlsFile[] {
  // Rises also when two lists are made within a second.
  ledger.crlNumber = Math.max(ledger.crlNumber + 1, now);
  ledger.crlExpires = now + CRL_DAYS * DAY_SECONDS;
  const content = createCrl(ca, ledger.revoked, { number: ledger.crlNumber, now, days: CRL_DAYS });
  return CRL_FOLDERS.map((folder) => ({ path: `${folder}/tls/crl.pem`, content, secret: false }));
}

/**
 * Enters as revoked every certificate of a holder that has not expired.
 *
 * @param whom the CN (a rig's id, role.name), or the holder's folder
 * @returns the serials
 * @throws OutboardError usage when there is none
 */
export function revokeHolder(ledger: Ledger, whom: string, now: number): string[] {
  const already = new Set(ledger.revoked.map((row) => row.serial));
  const hit = ledger.issued.filter(
    (row) => (row.name === whom || row.folder === whom) && row.notAfter > now && !already.has(row.serial),
  );
  if (hit.length === 0) throw new OutboardError('usage', `there is no certificate of ${whom} to revoke`);
  for (const { serial, name } of hit) ledger.revoked.push({ serial, name, revokedAt: now });
  return hit.map((row) => row.serial);
}

/** The authority's key as an age passphrase file, which the stock `age` program opens too. */
export async function sealCaKey(keyPem: string, passphrase: string, workFactor?: number): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  if (workFactor !== undefined) encrypter.setScryptWorkFactor(workFactor);
  return encrypter.encrypt(keyPem);
}

/** @throws OutboardError seal.open when the passphrase is another one */
export async function openCaKey(sealed: Uint8Array, passphrase: string, where: string): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  try {
    return await decrypter.decrypt(sealed, 'text');
  } catch (cause) {
    throw new OutboardError('seal.open', `${where}: the passphrase does not open it`, { cause });
  }
}
