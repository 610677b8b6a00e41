/** The least that a configuration of a virtual rig must say, for tests of the files beside it. */
import { RigConfig } from '../../core/contract/config.js';

/** @param more inserts and whatever else the test is about */
export function plainRigConfig(more: object): RigConfig {
  return RigConfig.parse({
    rig: 'rig-01',
    stateDir: 'state',
    sockets: { courier: 'c', control: 'd' },
    keys: { signing: 's', wrapping: 'w' },
    trust: { roots: { threshold: 1, keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) }] } },
    clock: { sync: 'unchecked' },
    interface: { driver: 'virtual', clock: 'fast', rates: [48_000], in: 6, out: 6 },
    processors: {},
    ...more,
  });
}
