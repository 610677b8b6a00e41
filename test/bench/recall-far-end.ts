/**
 * The units of the recall bench, in a process of their own: each at the far end of a pty, answering at once, but never faster than its line
 * carries the bytes in both directions. They share nothing with the driver but the bytes.
 */
import { openPty, type Pty } from '../../drivers/processors/pty.js';

export type FarEnd = { open: number } | { count: 'begin' | 'end' };
export interface Counted {
  /** In both directions, since `begin`. */
  bytes: number;
  /** How much later than the line would have it the answers left in sum: time that the host took from this end. */
  lateMs: number;
}

const ptys: Pty[] = [];
let bytes = 0;
let lateMs = 0;

function answerTo(command: string, values: Map<string, string>): string | undefined {
  if (command === 'N') return '60-330-16';
  const set = /^(\d+)\*(\d+)([Gg])$/.exec(command);
  if (set) {
    const [, channel = '', magnitude = '', letter] = set;
    const value = `${letter === 'g' ? '-' : '+'}${magnitude.padStart(2, '0')}`;
    values.set(channel, value);
    return `In${channel.padStart(2, '0')} Aud${value}`;
  }
  const read = /^(\d+)G$/.exec(command);
  return read ? values.get(read[1] ?? '') : undefined;
}

/** Timers are a millisecond coarse; the last one is spent looking at the clock. */
function at(dueMs: number, work: () => void): void {
  const leftMs = dueMs - performance.now();
  if (leftMs <= 0) work();
  else if (leftMs > 2) setTimeout(at, leftMs - 2, dueMs, work);
  else setImmediate(at, dueMs, work);
}

async function open(baud: number): Promise<string> {
  const msPerByte = 10_000 / baud;
  const values = new Map<string, string>();
  let begun = '';
  let freeAtMs = 0;
  const pty = await openPty((received) => {
    bytes += received.length;
    freeAtMs = Math.max(freeAtMs, performance.now()) + received.length * msPerByte;
    begun += Buffer.from(received).toString('latin1');
    const answer = answerTo(begun, values);
    if (answer === undefined) return;
    begun = '';
    const said = Buffer.from(`${answer}\r\n`, 'latin1');
    bytes += said.length;
    freeAtMs += said.length * msPerByte;
    const dueMs = freeAtMs;
    at(dueMs, () => {
      lateMs += performance.now() - dueMs;
      pty.write(said);
    });
  });
  ptys.push(pty);
  return pty.path;
}

process.on('message', (request: FarEnd) => {
  if ('open' in request) {
    void open(request.open).then((path) => process.send?.({ path }));
    return;
  }
  if (request.count === 'begin') [bytes, lateMs] = [0, 0];
  process.send?.({ bytes, lateMs } satisfies Counted);
});
process.once('disconnect', () => {
  void Promise.all(ptys.map((pty) => pty.close())).then(() => process.exit());
});
