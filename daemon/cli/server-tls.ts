/** What a TLS server of ours shows and accepts: the four files that `outboard init` puts into broker/tls and store/tls. */
import { join } from 'node:path';
import { readText } from './files.js';

/** PEM texts. */
export interface ServerTls {
  ca: string;
  cert: string;
  key: string;
  /** Certificates that count no longer. */
  crl?: string;
}

/** @throws OutboardError file.unreadable */
export async function readServerTls(folder: string): Promise<ServerTls> {
  const read = (name: string) => readText(join(folder, name));
  return {
    ca: await read('ca.pem'),
    cert: await read('cert.pem'),
    key: await read('key.pem'),
    crl: await read('crl.pem'),
  };
}
