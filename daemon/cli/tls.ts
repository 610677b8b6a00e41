/** `outboard tls`: new transport certificates before the old ones end, and a new revocation list when one was lost. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { type CertificateAndKey, needsRenewal } from '../../certs/transport-ca.js';
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import { readText, replaceFile } from './files.js';
import { PRIVATE_FILE, PUBLIC_FILE } from './new-tree.js';
import { createOutput, formatTime } from './output.js';
import { existingPassphrases } from './passphrase.js';
import {
  CA_CERT,
  CA_KEY,
  crlFiles,
  issueTo,
  LEDGER,
  Ledger,
  openCaKey,
  revokeHolder,
  type TlsFile,
} from './transport-authority.js';

interface Options {
  all?: boolean;
  passphraseFile?: string;
  json?: boolean;
}

export function tlsCommand(): Command {
  return new Command('tls')
    .description('Renews and revokes the transport certificates in the folder that `outboard init` made.')
    .addCommand(renewCommand())
    .addCommand(revokeCommand());
}

function renewCommand(): Command {
  return new Command('renew')
    .description('New keys and certificates for those past two thirds of their life, and a new revocation list.')
    .argument('<dir>', 'the folder that `outboard init` made')
    .option('--all', 'all of them, however new')
    .option('--passphrase-file <file>', 'passphrase of the authority (that of the first root key)')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Example:
  outboard tls renew studio
Then bring each holder its new tls/ folder. Courier and clients read the files again when they next connect; mosquitto reads
certificate and revocation list again at SIGHUP (kill -HUP).`,
    )
    .action(async (dir: string, o: Options) => {
      const output = createOutput(o);
      const { ca, ledger } = await openAuthority(dir, o.passphraseFile);
      const now = nowSeconds();
      const files: TlsFile[] = [];
      const renewed: string[] = [];
      for (const place of [...ledger.places]) {
        const current = await readFile(join(dir, place.folder, 'tls/cert.pem'), 'utf8').catch(() => undefined);
        if (!o.all && current !== undefined && !needsRenewal(current, now)) continue;
        files.push(...(await issueTo(ca, ledger, place, now)));
        renewed.push(place.folder);
      }
      files.push(...crlFiles(ca, ledger, now));
      await store(dir, ledger, files);
      output.object({ ok: true, renewed, crlExpires: ledger.crlExpires });
      output.line(renewed.length > 0 ? `renewed: ${renewed.join(', ')}` : 'no certificate is due');
      output.line(`revocation list: until ${formatTime(ledger.crlExpires)}`);
    });
}

function revokeCommand(): Command {
  return new Command('revoke')
    .description('Revokes all certificates of a holder and makes a new revocation list.')
    .argument('<dir>', 'the folder that `outboard init` made')
    .argument('<holder>', "a certificate's CN (rig-01, dispatcher.main), or the holder's folder")
    .option('--passphrase-file <file>', 'passphrase of the authority (that of the first root key)')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
Example: the courier's host was stolen
  outboard tls revoke studio rig-01
  # bring broker/tls/crl.pem and store/tls/crl.pem to their hosts, then: kill -HUP the broker
  outboard tls renew studio --all          # and a new certificate for the new host
This ends what a certificate can connect to. What a signing key may say is revoked with \`outboard trust sign --revoke\`.
A connection that is already there stays until it ends: restart the broker to end it now.`,
    )
    .action(async (dir: string, holder: string, o: Options) => {
      const output = createOutput(o);
      const { ca, ledger } = await openAuthority(dir, o.passphraseFile);
      const now = nowSeconds();
      const serials = revokeHolder(ledger, holder, now);
      const files = crlFiles(ca, ledger, now);
      await store(dir, ledger, files);
      output.object({ ok: true, revoked: serials, crl: files.map((file) => join(dir, file.path)) });
      output.line(`revoked: ${serials.length} ${serials.length === 1 ? 'certificate' : 'certificates'} of ${holder}`);
      for (const file of files) output.line(`new revocation list: ${join(dir, file.path)}`);
    });
}

async function openAuthority(dir: string, passphraseFile: string | undefined) {
  const where = join(dir, CA_KEY);
  const certPem = await readText(join(dir, CA_CERT));
  const sealed = Buffer.from(
    await readFile(where).catch((cause) => {
      throw new OutboardError('file.unreadable', `${where}: cannot be read`, { cause });
    }),
  );
  const parsed = Ledger.safeParse(JSON.parse(await readText(join(dir, LEDGER))));
  if (!parsed.success) throw new OutboardError('config.invalid', `${join(dir, LEDGER)}: is no list of certificates`);
  const [passphrase] = await existingPassphrases(passphraseFile, [
    'passphrase of the transport authority (that of the first root key)',
  ]);
  const ca: CertificateAndKey = { certPem, keyPem: await openCaKey(sealed, passphrase!, where) };
  return { ca, ledger: parsed.data };
}

/** The list of what was issued goes first: a certificate that nobody remembers could not be revoked. */
async function store(dir: string, ledger: Ledger, files: TlsFile[]): Promise<void> {
  await replaceFile(join(dir, LEDGER), `${JSON.stringify(ledger, null, 2)}\n`, PUBLIC_FILE);
  for (const file of files)
    await replaceFile(join(dir, file.path), file.content, file.secret ? PRIVATE_FILE : PUBLIC_FILE);
}
