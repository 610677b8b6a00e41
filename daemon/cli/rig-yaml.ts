/** The configuration files that `outboard init` writes: YAML with comments that teach, and the caller's overrides worked into them. */
import { type Document, isMap, parseDocument } from 'yaml';
import type { z } from 'zod';
import { ClientConfig, CourierConfig, type RigConfig } from '../../core/contract/config.js';
import type { Roots } from '../../core/contract/trust.js';
import { OutboardError } from '../../core/errors.js';
import { WholeRigConfig } from '../rig-config.js';

type Input = z.input<typeof RigConfig>;

/**
 * What a caller of `initRig` may want otherwise in rig.yaml. The sections `interface`, `limits`, `isolation` and `clock` are merged
 * field by field; `inserts`, `processors` and an interface of another driver replace the defaults as a whole, because half of each would be
 * neither rig.
 */
export interface RigConfigOverrides {
  production?: boolean;
  stateDir?: string;
  sockets?: Partial<Input['sockets']>;
  clock?: Input['clock'];
  interface?: Partial<Input['interface']>;
  inserts?: Input['inserts'];
  processors?: Input['processors'];
  calibration?: string;
  measurementLimits?: string;
  alignment?: NonNullable<Input['alignment']>;
  selfTest?: NonNullable<Input['selfTest']>;
  isolation?: NonNullable<Input['isolation']>;
  limits?: NonNullable<Input['limits']>;
}

const REPLACED_WHOLE: ReadonlySet<string> = new Set(['inserts', 'processors']);

/** @throws OutboardError config.invalid when the overrides do not make a valid configuration */
export function rigYaml(rig: string, roots: Roots, overrides: RigConfigOverrides = {}): string {
  const document = parseDocument(rigTemplate(rig, roots));
  for (const [section, value] of Object.entries(overrides)) {
    if (value === undefined) continue;
    const current = document.get(section);
    const otherDriver = isMap(current) && 'driver' in Object(value) && current.get('driver') !== value.driver;
    if (REPLACED_WHOLE.has(section) || otherDriver || !isMap(current) || typeof value !== 'object') {
      document.set(section, document.createNode(value));
      continue;
    }
    for (const [field, inner] of Object.entries(value)) document.setIn([section, field], document.createNode(inner));
  }
  return validated(document, WholeRigConfig, 'rig.yaml');
}

export function courierYaml(o: { rig: string; brokerUrl: string; storeUrl: string }): string {
  const text = `# The courier of ${o.rig}: the process that has the network. It sees ciphertext and envelopes only; of secrets it holds this TLS key.
# Paths are relative to this file.
rig: ${o.rig}

# The rig's socket. On a real host the service manager creates it (/run/outboard/courier.sock).
socket: ../rig/run/courier.sock

broker:
  url: ${o.brokerUrl}
  # The certificate's CN is the rig's id. The files are read again at every reconnect, so that renewing is replacing them.
  tls: {ca: tls/ca.pem, cert: tls/cert.pem, key: tls/key.pem}

store:
  url: ${o.storeUrl} # an origin; a blob's digest is the path
  tls: {ca: tls/ca.pem, cert: tls/cert.pem, key: tls/key.pem}
  minBytesPerSecond: 65536 # below this for stallSeconds, a transfer is given up and tried again
  stallSeconds: 30
`;
  return validated(parseDocument(text), CourierConfig, 'courier.yaml');
}

export function clientYaml(o: {
  rig: string;
  brokerUrl: string;
  storeUrl: string;
  dispatcher: string;
  keeper: string;
  tenant: string;
  recipient: string;
  roots: Roots;
}): string {
  const text = `# For \`outboard bounce\`: the reference dispatcher, which plays the keeper and the tenant too. Three roles in one file
# are for a desk and for trying out. In production each holder keeps its own folder and this file does not exist.
# Paths are relative to this file.
rig: ${o.rig}

broker:
  url: ${o.brokerUrl}
  tls: &tls {ca: dispatcher/tls/ca.pem, cert: dispatcher/tls/cert.pem, key: dispatcher/tls/key.pem}

store:
  url: ${o.storeUrl}
  tls: *tls

# Signs jobs: how a source is processed.
dispatcher: {name: ${o.dispatcher}, key: dispatcher/key.jwk}

# Signs grants: for whom it is processed.
keeper: {name: ${o.keeper}, key: keeper/key.jwk}

# Who can open the result. The id is random and says nothing about who that is.
tenant:
  id: ${o.tenant}
  identity: tenant/identity.txt
  recipients:
    - ${o.recipient}

# What the rig's events are verified with.
trust:
  bundle: dispatcher/trust.jws
${indent(rootsYaml(o.roots), 2)}
`;
  return validated(parseDocument(text), ClientConfig, 'client.yaml');
}

/** The public halves of the root keys, as `trust.roots` of the configurations holds them. */
export function rootsYaml(roots: Roots): string {
  const keys = roots.keys.map((key) => `    - {kty: OKP, crv: Ed25519, x: ${JSON.stringify(key.x)}}`).join('\n');
  return `roots:\n  threshold: ${roots.threshold}\n  keys:\n${keys}`;
}

function rigTemplate(rig: string, roots: Roots): string {
  return `# The rig ${rig}: the process with the devices and the keys. It has no network. Check this file with:
#   outboard check --config rig.yaml
# Paths are relative to this file.
rig: ${rig}

# true refuses what a rig with clients' music must not have: an unchecked clock, a single root signature, a simulated interface.
production: false

# Journal and spool. Only the rig's user may enter; the spool holds ciphertext only.
stateDir: state

# HTTP over unix sockets; curl --unix-socket works. On a real host the service manager creates them, one group each.
sockets:
  courier: run/courier.sock # for the courier
  control: run/control.sock # for technicians and \`outboard status\`

# Private keys, files of mode 0600: one signs events and state, to the other keepers wrap the keys of sources.
keys:
  signing: keys/signing.jwk
  wrapping: keys/wrapping.jwk

# 32 raw bytes that encrypt the journal. $CREDENTIALS_DIRECTORY/journal.key of the service manager goes before this file.
journal:
  keyFile: keys/journal.key

# Who has which key for what. The bundle is signed by at least \`threshold\` of the root keys and lives at most 14 days; newer ones
# arrive by the courier or on control.sock.
trust:
  bundle: trust.jws
${indent(rootsYaml(roots), 2)}

# timesyncd | unchecked. An unchecked clock is degraded health: for demos and tests.
clock: {sync: unchecked}

# driver virtual: a simulated interface and analog path. clock realtime starves like hardware, fast speeds audio only.
# driver alsa: a real one, by the name of its card (\`outboard interface list\`), held alone for as long as outboardd runs. \`sync\` names an
# output and an input that no insert has and that are wired to each other: they measure the loop and find every lost sample.
#   {driver: alsa, device: "hw:CARD=NAME,DEV=0", rates: [48000, 96000], in: 8, out: 8, sync: {send: 8, return: 8}}
interface:
  driver: virtual
  clock: fast
  rates: [44100, 48000, 96000]
  in: 6
  out: 6

# An insert is a pair of send and return channels with one processor between them. Channels count from 1.
# latencyFrames: what the insert itself delays, and what the take is moved back by. path: the simulated analog path (virtual only).
# ceilingDbfs: no measurement plays a higher peak into it (-1 when absent).
inserts:
  a:
    sends: [1, 2]
    returns: [1, 2]
    latencyFrames: 64
    path: {gainDb: 0, delayFrames: 64, poly: [], noiseDbfs: null, lowpassHz: null, memorySeconds: 0}
  b:
    sends: [3, 4]
    returns: [3, 4]
    latencyFrames: 0
    path: {gainDb: 0, delayFrames: 0, poly: [], noiseDbfs: null, lowpassHz: null, memorySeconds: 0}
  m:
    sends: [5]
    returns: [5]
    latencyFrames: 0
    path: {gainDb: 0, delayFrames: 0, poly: [], noiseDbfs: null, lowpassHz: null, memorySeconds: 0}

# A processor is one unit: its profile (drivers/processors/profiles), the insert it hangs on, and the port that controls it:
# {serial: /dev/serial/by-id/usb-…}, {midi: "NAME"} without numbers, or {virtual: true | pty | midi} for a simulation of it. vars: {ch: 3} where the
# profile has variables. A patchbay has no insert but patchbay: true, and inserts behind it name their crosspoints: via: {bay: [{in: 1, out: 3}]}.
processors:
  gain-1: {profile: virtual.gain, insert: a, port: {virtual: true}}
  delay-1: {profile: virtual.delay, insert: b, port: {virtual: true}}
  gain-m: {profile: virtual.gain, insert: m, port: {virtual: true}}

# What technicians measure. alignment: \`outboard calibrate level\` trims every insert to it. selfTest: the rig looks at its inserts when it is idle.
# alignment: {fullScaleDbu: 24}
# selfTest: {idleSeconds: 3600, everySeconds: 86400}

# Takes of different tenants roll at the same time only on pairs of inserts listed here, whose measured crosstalk plus the chain's
# greatest gain stays below floorDbfs. An insert that remembers is flushed between tenants until it is quieter than quietDbfs.
isolation:
  floorDbfs: -100
  quietDbfs: -90
  crosstalk: []
`;
}

function indent(text: string, by: number): string {
  return text.replace(/^/gm, ' '.repeat(by));
}

/** The document's text, once its values have passed the schema that will read it. */
function validated(document: Document, schema: z.ZodType, name: string): string {
  const fault = document.errors[0];
  if (fault) throw new OutboardError('config.invalid', `${name}: ${fault.message}`, { cause: fault });
  const text = document.toString({ lineWidth: 130, flowCollectionPadding: false });
  const parsed = schema.safeParse(parseDocument(text).toJS());
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new OutboardError('config.invalid', `${name}: ${issue.path.join('.')}: ${issue.message}`);
  }
  return text;
}
