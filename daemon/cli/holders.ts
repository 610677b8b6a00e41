/** Which folder of a new rig belongs to whom: told by `outboard init` and by the README.txt that it leaves. */

export interface Holder {
  folder: string;
  /** Where it belongs. */
  host: string;
  holds: string;
}

export const HOLDERS: readonly Holder[] = [
  {
    folder: 'roots/',
    host: 'offline, apart; each root key with another person',
    holds: 'root keys and the key of the transport authority, sealed with a passphrase; the bundle in force',
  },
  {
    folder: 'rig/',
    host: "the rig's host, user of outboardd",
    holds: 'rig.yaml, its private keys, journal key, trust bundle',
  },
  { folder: 'courier/', host: "the rig's host, user of outboard-courier", holds: 'courier.yaml and its TLS key' },
  { folder: 'dispatcher/', host: 'the cloud dispatcher', holds: 'its signing key, TLS key and trust bundle' },
  {
    folder: 'keeper/',
    host: 'the key service, apart from the dispatcher',
    holds: 'its signing key, TLS key and trust bundle',
  },
  { folder: 'technician/', host: "the technician's own device", holds: 'the key that opens maintenance sessions' },
  {
    folder: 'monitor/',
    host: 'the monitoring host',
    holds: 'its keys and the trust bundle that verifies what the rig says',
  },
  { folder: 'tenant/', host: "the client's own machine, nowhere else", holds: 'the age identity that opens results' },
  { folder: 'broker/', host: 'the MQTT broker', holds: 'mosquitto.conf, acl, TLS key, revocation list' },
  { folder: 'store/', host: 'the HTTPS store', holds: 'TLS key, authority and revocation list' },
  { folder: 'client.yaml', host: 'a desk, for trying out only', holds: 'dispatcher, keeper and tenant in one' },
];

export function readme(rig: string, holders: readonly Holder[]): string {
  const rows = holders.map(({ folder, host, holds }) => `${folder}\n    belongs on: ${host}\n    holds: ${holds}\n`);
  return `Everything for the rig ${rig}, one folder for each holder. Copy each folder to where it belongs, over a channel that you
trust, and then delete this copy: whoever has all of it can hear everything.

${rows.join('\n')}
Keys live 31 days, the trust bundle 14, certificates 31, the revocation list 30.
    outboard trust sign --help     the next version of the trust bundle: renew, add and revoke keys
    outboard tls --help            new certificates and revocation list
    outboard check --config …      what is wrong, and what ends soon
`;
}
