/**
 * The broker's configuration and its access list, for mosquitto 2.0 as Debian 12 has it.
 *
 * A client is its certificate: the CN is both user name and client id, so that nobody can take over another one's session. What the
 * access list allows follows core/contract/topics.ts.
 */

import { MAX_TOKEN_BYTES } from '../../core/contract/envelope.js';
import { TOPIC_ROOT, TRUST_TOPIC } from '../../core/contract/topics.js';

export interface MosquittoOptions {
  /** The folder as the broker's host will see it: mosquitto takes relative paths from its working directory. */
  folder: string;
  port: number;
  /** Address to listen on; undefined for all of them. */
  address: string | undefined;
  /** The system user that mosquitto becomes when root starts it. */
  user: string;
}

/** Offers that may wait for a rig that is busy or away; the bytes are counted, not the messages. */
const WAITING_OFFERS = 12_000;
const MAX_QUEUED_BYTES = WAITING_OFFERS * MAX_TOKEN_BYTES;

export function mosquittoConf(o: MosquittoOptions): string {
  return `# mosquitto 2.0, made by \`outboard init\`. Start it with: mosquitto -c ${o.folder}/mosquitto.conf
# The paths are absolute, because mosquitto takes relative ones from its working directory. When this folder moves, change them.

per_listener_settings true

# Who mosquitto becomes when root starts it. This user must be able to read this folder and to write data/.
user ${o.user}

# --- limits of the whole broker
# By default mosquitto keeps 1000 messages for a client and drops the rest without a word, acknowledged or not: a burst of offers
# would be lost. Here bytes are counted: room for ${WAITING_OFFERS.toLocaleString('en-US')} offers of the largest size.
max_queued_messages 0
max_queued_bytes ${MAX_QUEUED_BYTES}
# How many unacknowledged messages are under way to one client. A courier acknowledges after the rig's journal has committed.
max_inflight_messages 100
# The largest message is a trust bundle; tokens end at 32 KiB, and audio never passes here.
max_packet_size 65536
# A dead connection is noticed after one and a half of these, in seconds.
max_keepalive 120

# --- what survives a restart of the broker: retained state and what waits for clients that are away
persistence true
persistence_location ${o.folder}/data/
autosave_interval 30
# A client that stays away longer than this is forgotten, with its queue.
persistent_client_expiration 14d

log_dest stderr
log_type error
log_type warning
log_type notice
log_type information

# --- the one way in: TLS 1.3 with a client certificate of our own authority
listener ${o.port}${o.address === undefined ? '' : ` ${o.address}`}
cafile ${o.folder}/tls/ca.pem
certfile ${o.folder}/tls/cert.pem
keyfile ${o.folder}/tls/key.pem
# Revoked certificates. The list expires like a certificate, and an expired one locks everybody out: \`outboard tls renew\` makes both.
# mosquitto reads it again at SIGHUP. A live connection is not dropped by it.
crlfile ${o.folder}/tls/crl.pem
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file ${o.folder}/acl
`;
}

export interface AclNames {
  rigs: string[];
  dispatchers: string[];
  keepers: string[];
  monitors: string[];
}

/**
 * The access list. Patterns count for every user, with the user's own name in place of %u: they give a courier (its user name is the
 * rig's id) its rig's topics, and a dispatcher the events that are addressed to it. A user \`dispatcher.x\` gets nothing from the
 * courier's patterns, because no rig's id has a dot. A technician has no business here.
 */
export function mosquittoAcl(names: AclNames): string {
  const t = TOPIC_ROOT;
  const sections: string[] = [];
  const section = (user: string, what: string, lines: string[]) =>
    sections.push(`# ${what}\nuser ${user}\n${lines.map((line) => `topic ${line}`).join('\n')}\n`);

  for (const rig of names.rigs)
    section(rig, 'the courier of a rig; its own topics are in the patterns below', [`read ${TRUST_TOPIC}`]);
  for (const dispatcher of names.dispatchers)
    section(dispatcher, 'offers jobs and controls them', [
      `write ${t}/+/offer`,
      `write ${t}/+/control`,
      `read ${t}/+/state`,
      `read ${t}/+/health/#`,
      `read ${TRUST_TOPIC}`,
    ]);
  for (const keeper of names.keepers)
    section(keeper, 'publishes trust bundles; reads them back, and the state to see them in force', [
      `readwrite ${TRUST_TOPIC}`,
      `read ${t}/+/state`,
    ]);
  for (const monitor of names.monitors)
    section(monitor, 'reads, and writes nothing', [
      `read ${t}/+/state`,
      `read ${t}/+/health/#`,
      `read ${t}/+/alert`,
      `read ${t}/+/calibration/#`,
      `read ${TRUST_TOPIC}`,
    ]);
  return `# Made by \`outboard init\`. What is not allowed here is refused. mosquitto reads this file again at SIGHUP.
# The user name is the CN of the client's certificate: a rig's id for its courier, role.name for everybody else.
# mosquitto grants a forbidden subscription and then delivers nothing on it.

${sections.join('\n')}
# --- for every user, %u is the user's own name
pattern read ${t}/%u/offer
pattern read ${t}/%u/control
pattern write ${t}/%u/event/#
pattern write ${t}/%u/state
pattern write ${t}/%u/health/#
pattern write ${t}/%u/alert
pattern write ${t}/%u/calibration/#
# A dispatcher reads the events of its own jobs.
pattern read ${t}/+/event/%u
`;
}
