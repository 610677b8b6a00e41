/** Logs go to stderr as one JSON object a line: stdout is never ours (native audio libraries print to it). Secrets are cut by path. */
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

const REDACTED = [
  'token',
  'key',
  'identity',
  'grant',
  'recipients',
  'passphrase',
  '*.token',
  '*.key',
  '*.identity',
  '*.grant',
  '*.d',
];

export function createLogger(name: string, level = 'info'): Logger {
  return pino(
    { name, level, redact: { paths: REDACTED, censor: '[cut]' }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}
