/** aedes, a broker that speaks MQTT 3.1.1 only and refuses 5, behind mutual TLS 1.3. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { Aedes } from 'aedes';

export interface AedesPeer {
  url: string;
  aedes: Aedes;
  /** Ends every connection without a word; new ones are taken. */
  drop(): void;
  close(): Promise<void>;
}

/** @param dir holds ca.pem, cert.pem, key.pem (see pki.ts) */
export async function startAedes(dir: string): Promise<AedesPeer> {
  const [ca, cert, key] = await Promise.all(['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(dir, name))));
  const aedes = await Aedes.createBroker();
  const sockets = new Set<TLSSocket>();
  const server = createServer(
    { ca, cert, key, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      aedes.handle(socket);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `mqtts://127.0.0.1:${(server.address() as AddressInfo).port}`,
    aedes,
    drop,
    async close() {
      const closed = once(server, 'close');
      server.close();
      drop();
      await closed;
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
}
