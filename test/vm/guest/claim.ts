/** Claims a card as whoever it is run as, and says how that ended. Arguments: the playback and the capture device. */
import { createAlsaInterface } from '../../../drivers/audio/alsa/alsa.js';

const [playback = '', capture = ''] = process.argv.slice(2);
try {
  await (await createAlsaInterface().claim({ playback, capture })).close();
  process.stdout.write('claimed');
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  process.stdout.write(`${code ?? 'no code'}: ${message}`);
}
