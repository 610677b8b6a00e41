/** The checksums that system exclusive messages carry. */
import type { Checksum } from './wire-schema.js';

/** Bits that each kind needs. */
export const CHECKSUM_BITS: Readonly<Record<Checksum['kind'], number>> = {
  sum7: 7,
  sum8: 8,
  xor7: 7,
  xor8: 8,
  roland: 7,
  crc16: 16,
};

/**
 * The checksum of `bytes`, each character one byte. `roland` makes the sum of the bytes and itself a multiple of 128 (Roland, "MIDI
 * implementation": 40 00 7F 00 gives 41); `crc16` is CCITT with polynomial 1021h from FFFFh ("123456789" gives 29B1h).
 */
export function checksumOf(kind: Checksum['kind'], bytes: string): number {
  let [sum, xor, crc] = [0, 0, 0xffff];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes.charCodeAt(i);
    sum += byte;
    xor ^= byte;
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  switch (kind) {
    case 'sum7':
      return sum & 0x7f;
    case 'sum8':
      return sum & 0xff;
    case 'xor7':
      return xor & 0x7f;
    case 'xor8':
      return xor & 0xff;
    case 'roland':
      return (128 - (sum % 128)) % 128;
    case 'crc16':
      return crc;
  }
}
