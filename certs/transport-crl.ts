/** The revocation list of the transport authority (RFC 5280 section 5), which node-forge cannot build by itself. */
import { createPrivateKey } from 'node:crypto';
import forge from 'node-forge';
import { OutboardError } from '../core/errors.js';
import { nowSeconds } from '../core/units.js';
import { opensslKey } from './openssl-signature.js';
import type { CertificateAndKey, Validity } from './transport-ca.js';

const { asn1 } = forge;
const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;
type Node = forge.asn1.Asn1;

const SHA256_WITH_RSA = '1.2.840.113549.1.1.11';
const AUTHORITY_KEY_IDENTIFIER = '2.5.29.35';
const CRL_NUMBER = '2.5.29.20';
const VERSION_2 = 1;
const DAYS = 30;
const MAX_DAYS = 31;

/** A certificate that counts no longer. */
export interface Revoked {
  /** Hex, as `certificateFacts` gives it. */
  serial: string;
  /** Seconds since the epoch; the list's own time when absent. */
  revokedAt?: number;
}

const sequence = (...items: Node[]): Node => asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, items);
const octets = (type: forge.asn1.Type, bytes: string): Node => asn1.create(UNIVERSAL, type, false, bytes);
const oid = (dotted: string): Node => octets(asn1.Type.OID, asn1.oidToDer(dotted).getBytes());
const algorithm = (): Node => sequence(oid(SHA256_WITH_RSA), octets(asn1.Type.NULL, ''));

/** A positive INTEGER of hex digits. */
function integer(hex: string): Node {
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  const shortest = even.replace(/^(00)+(?=.)/, '');
  const bytes = forge.util.hexToBytes(shortest);
  return octets(asn1.Type.INTEGER, bytes.charCodeAt(0) >= 0x80 ? `\0${bytes}` : bytes);
}

/** UTCTime until 2049, GeneralizedTime from then on (section 5.1.2.4). */
function time(seconds: number): Node {
  const date = new Date(seconds * 1000);
  return date.getUTCFullYear() < 2050
    ? octets(asn1.Type.UTCTIME, asn1.dateToUtcTime(date) as string)
    : octets(asn1.Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date) as string);
}

function extension(id: string, value: Node): Node {
  return sequence(oid(id), octets(asn1.Type.OCTETSTRING, asn1.toDer(value).getBytes()));
}

/**
 * A signed list of revoked certificates, PEM. An expired list locks everyone out: publish the next one at half of its life.
 *
 * @param revoked hex serials, or those with the time of the revocation
 * @param o.number rises with every list; the list's time when absent
 * @param o.days until the next list has to be there, at most 31
 * @throws OutboardError config.invalid | config.key
 */
export function createCrl(
  ca: CertificateAndKey,
  revoked: readonly (string | Revoked)[],
  o: { number?: number } & Validity = {},
): string {
  const now = o.now ?? nowSeconds();
  const days = o.days ?? DAYS;
  if (!(days > 0) || days > MAX_DAYS)
    throw new OutboardError('config.invalid', `${days} days: a revocation list lives at most ${MAX_DAYS}`);
  const certificate = readCa(ca);
  const entries = revoked.map((entry) => {
    const { serial, revokedAt } = typeof entry === 'string' ? { serial: entry, revokedAt: undefined } : entry;
    if (!/^[0-9a-fA-F]{1,40}$/.test(serial))
      throw new OutboardError('config.invalid', `${serial}: not a serial number in hex`);
    return sequence(integer(serial), time(revokedAt ?? now));
  });
  const keyIdentifier = asn1.create(
    CONTEXT_SPECIFIC,
    0 as forge.asn1.Type,
    false,
    certificate.generateSubjectKeyIdentifier().getBytes(),
  );
  const extensions = sequence(
    extension(AUTHORITY_KEY_IDENTIFIER, sequence(keyIdentifier)),
    extension(CRL_NUMBER, integer((o.number ?? now).toString(16))),
  );
  const list = sequence(
    integer(VERSION_2.toString(16)),
    algorithm(),
    forge.pki.distinguishedNameToAsn1(certificate.subject),
    time(now),
    time(now + Math.floor(days * 24 * 3600)),
    // Absent when empty (section 5.1.2.6).
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    asn1.create(CONTEXT_SPECIFIC, 0 as forge.asn1.Type, true, [extensions]),
  );
  const digest = forge.md.sha256.create().update(asn1.toDer(list).getBytes());
  // The first octet of a BIT STRING counts unused bits: none.
  const signature = octets(asn1.Type.BITSTRING, `\0${opensslKey(ca.keyPem).sign(digest)}`);
  const der = asn1.toDer(sequence(list, algorithm(), signature)).getBytes();
  return forge.pem.encode({
    type: 'X509 CRL',
    body: der,
    contentDomain: null,
    dekInfo: null,
    headers: [],
    procType: null,
  });
}

/** @throws OutboardError config.key */
function readCa(ca: CertificateAndKey): forge.pki.Certificate {
  try {
    createPrivateKey(ca.keyPem);
    return forge.pki.certificateFromPem(ca.certPem);
  } catch (cause) {
    throw new OutboardError('config.key', "the authority's certificate or key cannot be read", { cause });
  }
}
