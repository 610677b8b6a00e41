/**
 * A process of its own that tries to open a device which its parent holds, and prints how that ended for each direction: `EBUSY`, another errno, or
 * `open`. Arguments: the playback and the capture device.
 */
import { argv, stdout } from 'node:process';
import { getSystemErrorName } from 'node:util';
import { loadNative } from './native.js';

const native = loadNative();
const [playback = '', capture = ''] = argv.slice(2);
for (const errno of [native.probe(playback, false), native.probe(capture, true)]) {
  stdout.write(`${errno === 0 ? 'open' : getSystemErrorName(-errno)}\n`);
}
