/** RFC 8785 canonical JSON: the one byte string that a payload may have. */
import canonicalize from 'canonicalize';
import { OutboardError } from './errors.js';

const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/**
 * The RFC 8785 form of a JSON value, as UTF-8 bytes.
 *
 * @throws OutboardError `envelope.not-canonical` for what has no canonical form (a lone surrogate, NaN, undefined).
 */
export function canonicalBytes(value: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = (canonicalize as unknown as (v: unknown) => string | undefined)(value);
  } catch (cause) {
    throw new OutboardError('envelope.not-canonical', 'the value has no RFC 8785 form', { cause });
  }
  // The library escapes nothing for us here: UTF-8 cannot carry half of a surrogate pair.
  if (text === undefined || LONE_SURROGATE.test(text))
    throw new OutboardError('envelope.not-canonical', 'the value has no RFC 8785 form');
  return new TextEncoder().encode(text);
}

/** True when `bytes` are exactly the RFC 8785 form of what they parse to: no duplicate key, no other spelling survives this. */
export function isCanonical(bytes: Uint8Array, parsed: unknown): boolean {
  let canonical: Uint8Array;
  try {
    canonical = canonicalBytes(parsed);
  } catch {
    return false;
  }
  return Buffer.compare(canonical, bytes) === 0;
}
