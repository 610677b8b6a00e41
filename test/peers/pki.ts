/** TLS identities for a test: one authority, a server on the loopback, and the named clients, as PEM files of one folder. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCa, issueClient, issueServer } from '../../certs/transport-ca.js';
import { type TlsLoader, tlsFiles } from '../../client/tls-files.js';

export interface Pki {
  /** Holds ca.pem, cert.pem and key.pem of the server, and NAME.cert.pem and NAME.key.pem of each client. */
  dir: string;
  files(name: string): { ca: string; cert: string; key: string };
  loader(name: string): TlsLoader;
  /** A new certificate for a client, in place of the one that is there. */
  renew(name: string, days?: number): Promise<void>;
}

export async function makePki(dir: string, clients: string[]): Promise<Pki> {
  await mkdir(dir, { recursive: true });
  const ca = await createCa();
  const server = await issueServer(ca, ['localhost', '127.0.0.1', '::1']);
  const put = (name: string, text: string) => writeFile(join(dir, name), text, { mode: 0o600 });
  const renew = async (name: string, days = 31) => {
    const { certPem, keyPem } = await issueClient(ca, name, { days });
    await put(`${name}.cert.pem`, certPem);
    await put(`${name}.key.pem`, keyPem);
  };
  await put('ca.pem', ca.certPem);
  await put('cert.pem', server.certPem);
  await put('key.pem', server.keyPem);
  for (const name of clients) await renew(name);
  const files = (name: string) => ({
    ca: join(dir, 'ca.pem'),
    cert: join(dir, `${name}.cert.pem`),
    key: join(dir, `${name}.key.pem`),
  });
  return { dir, files, loader: (name) => tlsFiles(files(name)), renew };
}
