/**
 * The files of a TLS identity. They are read again at every connect: a certificate lives at most 31 days and is replaced while the
 * process runs.
 */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { TlsFiles } from '../core/contract/config.js';
import { OutboardError } from '../core/errors.js';

/** PEM texts. */
export interface TlsMaterial {
  ca: string;
  cert: string;
  key: string;
}

/** Gives the material that is in force now. */
export type TlsLoader = () => Promise<TlsMaterial>;

/**
 * A loader for three PEM files.
 *
 * @param resolve makes a path of the configuration absolute
 * @throws OutboardError (from the loader) `config.key`: a file is missing or empty, or others may read the private key
 */
export function tlsFiles(files: TlsFiles, resolve: (path: string) => string = (path) => path): TlsLoader {
  return async () => {
    const keyFile = resolve(files.key);
    const [ca, cert, key] = await Promise.all([
      readPem(resolve(files.ca)),
      readPem(resolve(files.cert)),
      readPem(keyFile),
    ]);
    const mode = (await stat(keyFile)).mode & 0o777;
    if ((mode & 0o077) !== 0)
      throw new OutboardError('config.key', `${keyFile}: mode ${mode.toString(8)} lets others read a private key`, {
        details: { file: keyFile },
      });
    return { ca, cert, key };
  };
}

async function readPem(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('config.key', `${file}: cannot be read (${reason})`, { cause, details: { file } });
  }
  if (!text.includes('-----BEGIN '))
    throw new OutboardError('config.key', `${file}: holds no PEM`, { details: { file } });
  return text;
}

/** The common name of a certificate: the MQTT user name and client id. @throws OutboardError `config.key` */
export function commonName(certPem: string): string {
  const name = /^CN=(.+)$/m.exec(parse(certPem).subject)?.[1];
  if (name === undefined) throw new OutboardError('config.key', 'the certificate has no common name');
  return name;
}

/** When a certificate ends, in seconds since the epoch. @throws OutboardError `config.key` */
export function certificateExpires(certPem: string): number {
  return Math.floor(Date.parse(parse(certPem).validTo) / 1000);
}

function parse(certPem: string): X509Certificate {
  try {
    return new X509Certificate(certPem);
  } catch (cause) {
    throw new OutboardError('config.key', 'the certificate cannot be read', { cause });
  }
}
