/** JSON from strangers: valid UTF-8, nesting bounded before the parser sees it, no key that JavaScript treats as special. */
import { type ErrorCode, OutboardError } from '../core/errors.js';

/** The deepest document of the contract nests eight levels. */
export const MAX_JSON_DEPTH = 24;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

function depthExceeds(bytes: Uint8Array, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth > limit) return true;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
  }
  return false;
}

/**
 * The value of UTF-8 JSON bytes. Recursion in what comes later (canonical form, schemas) is bounded by the depth checked here.
 *
 * @throws OutboardError with `code`: not UTF-8, not JSON, nested too deep, or a key `__proto__` (which validators skip silently).
 */
export function parseBoundedJson(bytes: Uint8Array, code: ErrorCode, what: string): unknown {
  if (depthExceeds(bytes, MAX_JSON_DEPTH))
    throw new OutboardError(code, `${what}: nested deeper than ${MAX_JSON_DEPTH} levels`);
  let special = false;
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text, (key, item) => {
      if (key === '__proto__') special = true;
      return item;
    });
  } catch (cause) {
    throw new OutboardError(code, `${what}: not JSON in UTF-8`, { cause });
  }
  if (special) throw new OutboardError(code, `${what}: a key is named __proto__`);
  return value;
}
