/**
 * Everything that a new rig needs, one folder for each holder, made in one go: it is all there or nothing is. No printing here: the
 * command, the demo and the tests call this.
 */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import {
  generateSigningKey,
  generateWrappingKey,
  type PrivateJwk,
  publicJwk,
  writePrivateJwk,
} from '../../certs/keys.js';
import { sealRootKey } from '../../certs/root-key.js';
import { generateIdentity } from '../../certs/sealing.js';
import { certificateFacts } from '../../certs/transport-ca.js';
import { signTrust } from '../../certs/trust-bundle.js';
import { PartyName, RigId } from '../../core/contract/primitives.js';
import { MAX_BUNDLE_LIFETIME_SECONDS, type Role, type Roots } from '../../core/contract/trust.js';
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import { HOLDERS, readme } from './holders.js';
import { mosquittoAcl, mosquittoConf } from './mosquitto-conf.js';
import { createTree, type NewTree, PRIVATE_FILE, PUBLIC_FILE } from './new-tree.js';
import { clientYaml, courierYaml, type RigConfigOverrides, rigYaml, rootsYaml } from './rig-yaml.js';
import { CA_CERT, CA_KEY, crlFiles, issueTo, LEDGER, newAuthority, sealCaKey } from './transport-authority.js';
import { trustKey } from './trust-edit.js';

export interface PartyNames {
  dispatcher: string;
  keeper: string;
  technician: string;
  monitor: string;
}

export interface InitOptions {
  /** Made by this call; an empty folder may be there. */
  dir: string;
  /** Id of the rig. */
  rig: string;
  /** One for all root keys, or one for each. The first also seals the key of the transport authority. */
  passphrase: string | readonly string[];
  /** Number of root keys; 1 when absent. */
  roots?: number;
  /** How many of them must sign; 2 where there are several, else 1. */
  threshold?: number;
  /** The broker's host name or address, then the store's (the same when absent). This host when empty. */
  hosts?: readonly string[];
  brokerPort?: number;
  storePort?: number;
  /** Where the broker's folder will be on its host; where it is made when absent. */
  brokerDir?: string;
  /** System user that mosquitto becomes when root starts it; who runs this when absent, because the files are theirs. */
  brokerUser?: string;
  /** log2 of scrypt's N for the passphrase files; age's default when absent, low for tests. */
  scryptWorkFactor?: number;
  /** What shall be otherwise in rig.yaml. */
  rigConfig?: RigConfigOverrides;
  names?: Partial<PartyNames>;
}

export interface InitResult {
  dir: string;
  rig: string;
  names: PartyNames;
  tenant: { id: string; recipient: string };
  urls: { broker: string; store: string };
  /** Absolute paths. */
  files: {
    rig: string;
    courier: string;
    client: string;
    mosquitto: string;
    acl: string;
    trust: string;
    roots: string[];
  };
  roots: { threshold: number; count: number };
  /** Wall clock, seconds: until when things are good. */
  expires: { trust: number; keys: number; certificates: number; authority: number; crl: number };
}

const DEFAULT_BROKER_PORT = 8883;
const DEFAULT_STORE_PORT = 8443;
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '::1'];
const MAX_ROOTS = 10;

/**
 * Makes the folder.
 *
 * @throws OutboardError usage (names, numbers) | config.exists | config.invalid (the overrides) | file.write
 */
export async function initRig(options: InitOptions): Promise<InitResult> {
  const plan = makePlan(options);
  return createTree(plan.dir, (tree) => build(tree, plan));
}

interface Plan {
  dir: string;
  rig: string;
  names: PartyNames;
  passphrases: string[];
  threshold: number;
  brokerHost: string;
  storeHost: string;
  brokerPort: number;
  storePort: number;
  brokerDir: string;
  brokerUser: string;
  options: InitOptions;
}

function makePlan(o: InitOptions): Plan {
  if (!RigId.safeParse(o.rig).success)
    throw new OutboardError('usage', `${o.rig}: a rig's id is lower-case letters, digits and hyphens, without a dot`);
  const count = o.roots ?? 1;
  const threshold = o.threshold ?? Math.min(2, count);
  if (!Number.isInteger(count) || count < 1 || count > MAX_ROOTS)
    throw new OutboardError('usage', `${count} root keys: 1 to ${MAX_ROOTS} are possible`);
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > count)
    throw new OutboardError('usage', `a threshold of ${threshold} with ${count} root keys: 1 to ${count} are possible`);
  const given = typeof o.passphrase === 'string' ? Array<string>(count).fill(o.passphrase) : [...o.passphrase];
  if (given.length !== count || given.some((text) => text === ''))
    throw new OutboardError('usage', `${count} root keys need ${count} passphrases, or one for all`);
  const names = {
    dispatcher: 'dispatcher.main',
    keeper: 'keeper.main',
    technician: 'technician.main',
    monitor: 'monitor.main',
    ...o.names,
  };
  for (const [role, name] of Object.entries(names)) {
    if (!PartyName.safeParse(name).success || !name.startsWith(`${role}.`))
      throw new OutboardError('usage', `${name}: the name of a ${role} is ${role}. and letters, digits or hyphens`);
  }
  const hosts = o.hosts && o.hosts.length > 0 ? o.hosts : ['localhost'];
  if (hosts.length > 2) throw new OutboardError('usage', "--hosts takes two names: the broker's and the store's");
  for (const host of hosts) checkHost(host);
  const dir = resolve(o.dir);
  return {
    dir,
    rig: o.rig,
    names,
    passphrases: given,
    threshold,
    brokerHost: hosts[0]!,
    storeHost: hosts[1] ?? hosts[0]!,
    brokerPort: checkPort(o.brokerPort ?? DEFAULT_BROKER_PORT),
    storePort: checkPort(o.storePort ?? DEFAULT_STORE_PORT),
    brokerDir: o.brokerDir ?? join(dir, 'broker'),
    brokerUser: o.brokerUser ?? (o.brokerDir === undefined ? userInfo().username : 'mosquitto'),
    options: o,
  };
}

async function build(tree: NewTree, plan: Plan): Promise<InitResult> {
  const now = nowSeconds();
  const { rootFiles, rootKeys, roots } = await makeRoots(tree, plan);
  const keys = await makeKeys(tree, plan);
  const rows = await Promise.all(keys.map(({ name, jwk }) => trustKey(name, jwk, now)));
  const exp = now + MAX_BUNDLE_LIFETIME_SECONDS;
  const bundle = await signTrust({ version: 1, iat: now, exp, keys: rows, revoked: [] }, rootKeys);
  for (const folder of ['roots', 'rig', 'dispatcher', 'keeper', 'monitor'])
    await tree.file(`${folder}/trust.jws`, bundle, PUBLIC_FILE);

  const tenant = await makeTenant(tree);
  const urls = {
    broker: `mqtts://${urlHost(plan.brokerHost)}:${plan.brokerPort}`,
    store: `https://${urlHost(plan.storeHost)}:${plan.storePort}`,
  };
  await writeConfigurations(tree, plan, { roots, urls, tenant });
  // RSA keys take seconds: last, when nothing else can be wrong any more.
  const expires = await makeTransport(tree, plan, now);
  const at = (path: string) => join(plan.dir, path);
  return {
    dir: plan.dir,
    rig: plan.rig,
    names: plan.names,
    tenant,
    urls,
    files: {
      rig: at('rig/rig.yaml'),
      courier: at('courier/courier.yaml'),
      client: at('client.yaml'),
      mosquitto: at('broker/mosquitto.conf'),
      acl: at('broker/acl'),
      trust: at('rig/trust.jws'),
      roots: rootFiles.map(at),
    },
    roots: { threshold: plan.threshold, count: rootKeys.length },
    expires: { trust: exp, keys: Math.min(...rows.map((row) => row.exp)), ...expires },
  };
}

/** roots/root.key.age, or roots/1, roots/2, …: a folder for each person who holds one. */
async function makeRoots(tree: NewTree, plan: Plan) {
  const rootKeys: PrivateJwk<'Ed25519'>[] = [];
  const rootFiles: string[] = [];
  for (const [index, passphrase] of plan.passphrases.entries()) {
    const file = plan.passphrases.length === 1 ? 'roots/root.key.age' : `roots/${index + 1}/root.key.age`;
    await tree.folder(join(file, '..'));
    const jwk = await generateSigningKey();
    await sealRootKey(join(tree.root, file), jwk, passphrase, plan.options.scryptWorkFactor);
    rootKeys.push(jwk);
    rootFiles.push(file);
  }
  const roots: Roots = { threshold: plan.threshold, keys: rootKeys.map((jwk) => publicJwk(jwk)) };
  await tree.file(
    'roots/roots.yaml',
    `# The public halves of the root keys, as the configurations pin them.\n${rootsYaml(roots)}\n`,
    PUBLIC_FILE,
  );
  return { rootKeys, rootFiles, roots };
}

/** The private key of every name in the trust bundle, in its holder's folder. */
async function makeKeys(tree: NewTree, plan: Plan): Promise<{ name: string; jwk: PrivateJwk }[]> {
  const made: { name: string; jwk: PrivateJwk }[] = [];
  const put = async (name: string, path: string, jwk: PrivateJwk) => {
    await tree.folder(join(path, '..'));
    await writePrivateJwk(join(tree.root, path), jwk);
    made.push({ name, jwk });
  };
  await put(plan.rig, 'rig/keys/signing.jwk', await generateSigningKey());
  await put(plan.rig, 'rig/keys/wrapping.jwk', await generateWrappingKey());
  for (const role of ['dispatcher', 'keeper', 'technician', 'monitor'] as const satisfies Role[])
    await put(plan.names[role], `${role}/key.jwk`, await generateSigningKey());
  await tree.file('rig/keys/journal.key', randomBytes(32), PRIVATE_FILE);
  return made;
}

/** The tenant's identity in the form of `age-keygen`, and his random id. */
async function makeTenant(tree: NewTree): Promise<{ id: string; recipient: string }> {
  const { identity, raw, recipient } = await generateIdentity();
  raw.fill(0);
  const id = randomBytes(16).toString('hex');
  await tree.file('tenant/identity.txt', `# public key: ${recipient}\n${identity}\n`, PRIVATE_FILE);
  await tree.file(
    'tenant/tenant.yaml',
    `# What a keeper is told: a random id, and for whom results are sealed.\nid: ${id}\nrecipients: [${recipient}]\n`,
    PUBLIC_FILE,
  );
  return { id, recipient };
}

async function makeTransport(tree: NewTree, plan: Plan, now: number) {
  const { ca, ledger } = await newAuthority(plan.rig, now);
  const client = (folder: string, name: string) => ({ folder, kind: 'client' as const, names: [name] });
  const server = (folder: string, host: string) => ({ folder, kind: 'server' as const, names: serverNames(host) });
  const places = [
    client('courier', plan.rig),
    client('dispatcher', plan.names.dispatcher),
    client('keeper', plan.names.keeper),
    client('monitor', plan.names.monitor),
    server('broker', plan.brokerHost),
    server('store', plan.storeHost),
  ];
  const files = (await Promise.all(places.map((place) => issueTo(ca, ledger, place, now)))).flat();
  files.push(...crlFiles(ca, ledger, now));
  for (const file of files) await tree.file(file.path, file.content, file.secret ? PRIVATE_FILE : PUBLIC_FILE);
  await tree.file(CA_CERT, ca.certPem, PUBLIC_FILE);
  await tree.file(
    CA_KEY,
    await sealCaKey(ca.keyPem, plan.passphrases[0]!, plan.options.scryptWorkFactor),
    PRIVATE_FILE,
  );
  await tree.file(LEDGER, `${JSON.stringify(ledger, null, 2)}\n`, PUBLIC_FILE);
  return {
    certificates: Math.min(...ledger.issued.map((row) => row.notAfter)),
    authority: certificateFacts(ca.certPem).notAfter,
    crl: ledger.crlExpires,
  };
}

async function writeConfigurations(
  tree: NewTree,
  plan: Plan,
  made: { roots: Roots; urls: InitResult['urls']; tenant: InitResult['tenant'] },
): Promise<void> {
  const { rig, names } = plan;
  const brokerUrl = made.urls.broker;
  const storeUrl = made.urls.store;
  await tree.file('rig/rig.yaml', rigYaml(rig, made.roots, plan.options.rigConfig), PUBLIC_FILE);
  for (const folder of ['rig/state', 'rig/run', 'broker/data']) await tree.folder(folder);
  await tree.file('courier/courier.yaml', courierYaml({ rig, brokerUrl, storeUrl }), PUBLIC_FILE);
  const client = clientYaml({
    rig,
    brokerUrl,
    storeUrl,
    dispatcher: names.dispatcher,
    keeper: names.keeper,
    tenant: made.tenant.id,
    recipient: made.tenant.recipient,
    roots: made.roots,
  });
  await tree.file('client.yaml', client, PUBLIC_FILE);
  const conf = mosquittoConf({
    folder: plan.brokerDir,
    port: plan.brokerPort,
    address: LOOPBACK_NAMES.includes(plan.brokerHost) ? '127.0.0.1' : undefined,
    user: plan.brokerUser,
  });
  await tree.file('broker/mosquitto.conf', conf, PUBLIC_FILE);
  const acl = mosquittoAcl({
    rigs: [rig],
    dispatchers: [names.dispatcher],
    keepers: [names.keeper],
    monitors: [names.monitor],
  });
  await tree.file('broker/acl', acl, PUBLIC_FILE);
  await tree.file('README.txt', readme(rig, HOLDERS), PUBLIC_FILE);
}

/** A server is reached by its name; one on this host by each of the names of this host. */
function serverNames(host: string): string[] {
  return LOOPBACK_NAMES.includes(host) ? LOOPBACK_NAMES : [host];
}

function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

function checkHost(host: string): void {
  if (
    isIP(host) === 0 &&
    !/^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(host)
  )
    throw new OutboardError('usage', `${host}: neither a host name nor an address`);
}

function checkPort(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new OutboardError('usage', `${port}: a port is 1 to 65535`);
  return port;
}
