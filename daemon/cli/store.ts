/** `outboard store`: the demo's store by itself, so that a rig can be tried out where no other store is at hand. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { OutboardError } from '../../core/errors.js';
import { DemoStore } from './demo-store.js';
import { interruptSignal } from './interrupt.js';
import { createOutput } from './output.js';
import { readServerTls } from './server-tls.js';

interface Options {
  tls: string;
  dir: string;
  port: number;
  host: string;
  json?: boolean;
}

export function storeCommand(): Command {
  return new Command('store')
    .description('Keeps blobs in a folder and serves them with mutual TLS. For trying out; a real store keeps copies.')
    .requiredOption('--tls <dir>', 'ca.pem, cert.pem, key.pem and crl.pem, as `outboard init` puts them into store/tls')
    .requiredOption('--dir <dir>', 'where the blobs lie; made when it is not there')
    .option('--port <n>', 'port to listen on', port, 8443)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  outboard store --tls studio/store/tls --dir studio/store/blobs\nIt runs until Ctrl-C.',
    )
    .action(async (o: Options) => {
      const output = createOutput(o);
      const signal = interruptSignal();
      const folder = resolve(o.dir);
      const store = new DemoStore({ tls: await readServerTls(o.tls), folder, port: o.port, host: o.host });
      await store.start().catch((cause) => {
        const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
        throw new OutboardError('usage', `cannot listen on ${o.host} port ${o.port} (${reason})`, { cause });
      });
      output.object({ ok: true, host: o.host, port: store.port, folder });
      output.line(`blobs in ${folder}, https on ${o.host} port ${store.port}`);
      if (!signal.aborted) await once(signal, 'abort');
      await store.stop();
    });
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65_535) throw new InvalidArgumentError('A port is 1 to 65535.');
  return value;
}
