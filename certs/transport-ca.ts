/**
 * The private certificate authority of the transport (X.509, RFC 5280): TLS only, no authority over jobs rests on it. RSA, because
 * node-forge knows nothing else; keys are made by OpenSSL underneath, which is far faster.
 */
import { generateKeyPair, randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import forge from 'node-forge';
import { OutboardError } from '../core/errors.js';
import { nowSeconds } from '../core/units.js';
import { opensslKey } from './openssl-signature.js';

export { createCrl, type Revoked } from './transport-crl.js';

/** A certificate and its private key (PKCS #8), both PEM. */
export interface CertificateAndKey {
  certPem: string;
  keyPem: string;
}

export interface Validity {
  /** Wall clock, seconds; the host's clock when absent. */
  now?: number;
  days?: number;
}

export const MAX_LEAF_DAYS = 31;
const CA_DAYS = 5 * 365;
const CA_BITS = 3072;
const LEAF_BITS = 2048;
const DAY_SECONDS = 24 * 3600;
/** Valid from a little earlier, because clocks differ; counted into the 31 days. */
const BACKDATE_SECONDS = 300;
const COMMON_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,62}[A-Za-z0-9])?$/;

const generate = promisify(generateKeyPair);

async function generateRsa(modulusLength: number): Promise<{ publicPem: string; keyPem: string }> {
  const { publicKey, privateKey } = await generate('rsa', {
    modulusLength,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { publicPem: publicKey, keyPem: privateKey };
}

/** 20 octets at most, positive, not guessable (RFC 5280 section 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function subjectOf(commonName: string): forge.pki.CertificateField[] {
  if (!COMMON_NAME.test(commonName))
    throw new OutboardError('config.invalid', `${commonName}: not a name for a certificate (letters, digits, . _ : -)`);
  // UTF8String, as RFC 5280 section 4.1.2.4 asks for.
  return [
    { name: 'commonName', value: commonName, valueTagClass: forge.asn1.Type.UTF8 as unknown as forge.asn1.Class },
  ];
}

interface Order {
  publicPem: string;
  subject: forge.pki.CertificateField[];
  issuer: forge.pki.CertificateField[];
  signWithPem: string;
  days: number;
  now: number | undefined;
  extensions: object[];
  /** The issuer's key identifier; a root has its own. */
  authority?: string;
}

function sign(order: Order): string {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(order.publicPem);
  certificate.serialNumber = newSerial();
  const from = (order.now ?? nowSeconds()) - BACKDATE_SECONDS;
  certificate.validity.notBefore = new Date(from * 1000);
  certificate.validity.notAfter = new Date((from + Math.floor(order.days * DAY_SECONDS)) * 1000);
  certificate.setSubject(order.subject);
  certificate.setIssuer(order.issuer);
  certificate.setExtensions([
    ...order.extensions,
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: order.authority ?? keyIdentifier(certificate) },
  ]);
  certificate.sign(opensslKey(order.signWithPem), forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate);
}

function keyIdentifier(certificate: forge.pki.Certificate): string {
  return certificate.generateSubjectKeyIdentifier().getBytes();
}

function checkDays(days: number, max: number): number {
  if (!(days > 0) || days > max) throw new OutboardError('config.invalid', `${days} days: at most ${max} are allowed`);
  return days;
}

/**
 * A new certificate authority: self-signed, RSA 3072, no further authority below it.
 *
 * @param o.name its common name
 * @throws OutboardError config.invalid
 */
export async function createCa(o: { name?: string } & Validity = {}): Promise<CertificateAndKey> {
  const subject = subjectOf(o.name ?? 'outboard-transport-ca');
  const days = checkDays(o.days ?? CA_DAYS, 10 * 365);
  const { publicPem, keyPem } = await generateRsa(CA_BITS);
  const certPem = sign({
    publicPem,
    subject,
    issuer: subject,
    signWithPem: keyPem,
    days,
    now: o.now,
    extensions: [
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { certPem, keyPem };
}

async function issueLeaf(
  ca: CertificateAndKey,
  commonName: string,
  o: Validity,
  extensions: object[],
): Promise<CertificateAndKey> {
  const issuer = readCa(ca);
  const subject = subjectOf(commonName);
  const days = checkDays(o.days ?? MAX_LEAF_DAYS, MAX_LEAF_DAYS);
  const { publicPem, keyPem } = await generateRsa(LEAF_BITS);
  const certPem = sign({
    publicPem,
    subject,
    issuer: issuer.subject.attributes,
    signWithPem: ca.keyPem,
    days,
    now: o.now,
    authority: keyIdentifier(issuer),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      ...extensions,
    ],
  });
  return { certPem, keyPem };
}

/**
 * A certificate for a TLS server, RSA 2048, at most 31 days.
 *
 * @param names DNS names and IP addresses by which clients reach it; the first is the common name
 * @throws OutboardError config.invalid
 */
export async function issueServer(
  ca: CertificateAndKey,
  names: readonly string[],
  o: Validity = {},
): Promise<CertificateAndKey> {
  const first = names[0];
  if (first === undefined) throw new OutboardError('config.invalid', 'a server certificate needs a name');
  const altNames = names.map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: dnsName(name) }));
  // The common name identifies no server; a colon at its end would be refused.
  return await issueLeaf(ca, isIP(first) === 6 ? 'server' : first, o, [
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames },
  ]);
}

function dnsName(name: string): string {
  if (!/^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$/.test(name))
    throw new OutboardError('config.invalid', `${name}: neither a DNS name nor an IP address`);
  return name;
}

/**
 * A certificate for a TLS client, RSA 2048, at most 31 days. Its common name is the MQTT user name and client id.
 *
 * @param name the rig id for a courier, `role.name` for everyone else
 * @throws OutboardError config.invalid
 */
export async function issueClient(ca: CertificateAndKey, name: string, o: Validity = {}): Promise<CertificateAndKey> {
  return await issueLeaf(ca, name, o, [{ name: 'extKeyUsage', clientAuth: true }]);
}

export interface CertificateFacts {
  commonName: string;
  /** Lower-case hex, as a CRL names it. */
  serial: string;
  /** Seconds since the epoch. */
  notBefore: number;
  notAfter: number;
}

/** What a certificate says of itself. @throws OutboardError config.key */
export function certificateFacts(certPem: string): CertificateFacts {
  try {
    const certificate = new X509Certificate(certPem);
    return {
      commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '',
      serial: certificate.serialNumber.toLowerCase(),
      notBefore: Date.parse(certificate.validFrom) / 1000,
      notAfter: Date.parse(certificate.validTo) / 1000,
    };
  } catch (cause) {
    throw new OutboardError('config.key', 'not a PEM certificate', { cause });
  }
}

/**
 * True from two thirds of a certificate's life on.
 *
 * @param now wall clock, seconds
 * @throws OutboardError config.key
 */
export function needsRenewal(certPem: string, now: number): boolean {
  const { notBefore, notAfter } = certificateFacts(certPem);
  return now >= notBefore + ((notAfter - notBefore) * 2) / 3;
}

function readCa(ca: CertificateAndKey): forge.pki.Certificate {
  try {
    return forge.pki.certificateFromPem(ca.certPem);
  } catch (cause) {
    throw new OutboardError('config.key', "the authority's certificate cannot be read", { cause });
  }
}
