/** The checks of client.yaml: the dispatcher's, the keeper's and the tenant's things. */
import { rawFromIdentity, recipientOf } from '../../../certs/sealing.js';
import { ClientConfig } from '../../../core/contract/config.js';
import { OutboardError } from '../../../core/errors.js';
import { loadConfig } from '../../config-file.js';
import { readIdentity } from '../identity.js';
import { checkKey, checkTls, checkTrust } from './parts.js';
import { type CheckReport, only } from './report.js';

/** @param now wall clock, seconds */
export async function checkClient(report: CheckReport, file: string, now: number): Promise<void> {
  const loaded = await report.run('configuration', async () => ({
    finding: file,
    value: await loadConfig(file, ClientConfig),
  }));
  if (!loaded) return;
  const { config, resolve } = loaded;
  const { dispatcher, keeper, tenant, trust } = config;
  const bundle = await checkTrust(report, resolve(trust.bundle), trust.roots, now);
  for (const [what, party] of [
    ['dispatcher key', dispatcher],
    ['keeper key', keeper],
  ] as const)
    await checkKey(report, what, { file: resolve(party.key), curve: 'Ed25519', name: party.name, bundle, now });
  await report.run('rig key', async () => {
    if (bundle === undefined) return only({ warn: 'not looked up, there is no good trust bundle' });
    const key = bundle.rigWrappingKey(config.rig, now);
    return only(`keys are wrapped for ${config.rig} to kid ${key.kid}`);
  });
  await checkTls(report, 'broker certificate', {
    files: config.broker.tls,
    resolve,
    commonName: dispatcher.name,
    now,
  });
  await checkTls(report, 'store certificate', { files: config.store.tls, resolve, commonName: dispatcher.name, now });
  await report.run('tenant identity', async () => {
    const recipient = await recipientOf(rawFromIdentity(await readIdentity(resolve(tenant.identity))));
    if (!tenant.recipients.includes(recipient))
      throw new OutboardError(
        'config.invalid',
        `${file}: tenant.recipients does not hold ${recipient}, the identity's own`,
      );
    return only(`opens what is sealed for ${recipient}`);
  });
}
