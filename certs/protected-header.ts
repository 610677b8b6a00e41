/** The protected header of our signatures: exactly {alg, typ, kid}, EdDSA only (RFC 7515 section 4.1, RFC 8037 section 3.1). */
import { TYP, type Typ } from '../core/contract/envelope.js';
import { Kid } from '../core/contract/primitives.js';
import { OutboardError } from '../core/errors.js';
import { parseBoundedJson } from './bounded-json.js';

export interface ProtectedHeader {
  alg: 'EdDSA';
  typ: Typ;
  kid: string;
}

/** Ours is about 110 bytes long. */
const MAX_HEADER_CHARACTERS = 512;
/** Each of these would let a sender choose how he is verified; `b64` and `crit` would change what is signed. */
const FORBIDDEN = ['crit', 'b64', 'jku', 'jwk', 'x5u', 'x5c'];
const TYPES: ReadonlySet<string> = new Set(Object.values(TYP));

/** The bytes of a base64url part, or null when its spelling is not the only one (RFC 7515 appendix C, RFC 4648 section 3.5). */
export function decodePart(part: string): Uint8Array | null {
  const bytes = Buffer.from(part, 'base64url');
  // Unused bits of the last character would make a second token of the same meaning.
  return bytes.toString('base64url') === part ? bytes : null;
}

/**
 * Reads the first part of a JWS.
 *
 * @throws OutboardError envelope.malformed | envelope.header | envelope.typ (a typ that is none of ours)
 */
export function readProtectedHeader(part: string): ProtectedHeader {
  if (part.length > MAX_HEADER_CHARACTERS)
    throw new OutboardError('envelope.header', 'the protected header is too long');
  const bytes = decodePart(part);
  if (bytes === null) throw new OutboardError('envelope.malformed', 'the protected header is not base64url');
  const header = parseBoundedJson(bytes, 'envelope.malformed', 'protected header');
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw new OutboardError('envelope.malformed', 'the protected header is not an object');
  const names = Object.keys(header);
  const forbidden = names.find((name) => FORBIDDEN.includes(name));
  if (forbidden !== undefined)
    throw new OutboardError('envelope.header', `the protected header has ${forbidden}, which is refused`, {
      details: { parameter: forbidden },
    });
  const { alg, typ, kid } = header as Record<string, unknown>;
  if (names.length !== 3 || alg === undefined || typ === undefined || kid === undefined)
    throw new OutboardError('envelope.header', 'the protected header is not exactly {alg, typ, kid}');
  if (alg !== 'EdDSA')
    throw new OutboardError('envelope.header', 'alg is not EdDSA', { details: { parameter: 'alg' } });
  if (!Kid.safeParse(kid).success)
    throw new OutboardError('envelope.header', 'kid is not an RFC 7638 thumbprint', { details: { parameter: 'kid' } });
  if (typeof typ !== 'string' || !TYPES.has(typ)) throw new OutboardError('envelope.typ', 'the typ is unknown');
  // A key given twice parses to one: then the text is longer than what it parses to (RFC 7515 section 5.2 step 4).
  const text = Buffer.from(bytes)
    .toString()
    .replace(/[ \t\r\n]/g, '');
  if (text !== JSON.stringify(header))
    throw new OutboardError(
      'envelope.header',
      'the protected header names a parameter twice or spells it with escapes',
    );
  return { alg, typ: typ as Typ, kid: kid as string };
}
