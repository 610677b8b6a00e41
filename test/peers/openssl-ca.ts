/** Certificates for tests, made by the openssl command: a CA, a server and clients that none of our own code has made. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Identity {
  /** Paths of PEM files. */
  ca: string;
  cert: string;
  key: string;
}

export class OpensslCa {
  readonly folder: string;
  readonly ca: string;

  /** Makes `ca.pem` in an existing folder. */
  constructor(folder: string) {
    this.folder = folder;
    this.ca = join(folder, 'ca.pem');
    const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
    this.#run(
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=test-ca',
      '-days',
      '2',
      ...usage,
    );
  }

  server(): Identity {
    return this.#issue('localhost', 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n');
  }

  client(commonName: string): Identity {
    return this.#issue(commonName, 'extendedKeyUsage=clientAuth\n');
  }

  #issue(commonName: string, extensions: string): Identity {
    const base = commonName.replaceAll('.', '-');
    writeFileSync(join(this.folder, `${base}.ext`), extensions);
    this.#run('req', ...NEW_KEY, '-keyout', `${base}.key`, '-out', `${base}.csr`, '-subj', `/CN=${commonName}`);
    const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', `${base}.ext`];
    this.#run('x509', '-req', '-in', `${base}.csr`, '-out', `${base}.pem`, ...signer);
    return { ca: this.ca, cert: join(this.folder, `${base}.pem`), key: join(this.folder, `${base}.key`) };
  }

  #run(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

// RSA, as node-forge makes them: 2048 bits are quick enough for a test.
const NEW_KEY = ['-newkey', 'rsa:2048', '-nodes'];

/** The texts of the files. */
export function pem(identity: Identity): { ca: string; cert: string; key: string } {
  const read = (file: string) => readFileSync(file, 'utf8');
  return { ca: read(identity.ca), cert: read(identity.cert), key: read(identity.key) };
}
