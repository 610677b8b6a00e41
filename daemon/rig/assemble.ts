/** From a configuration to the parts of a rig: keys from their files, the interface and the processors that the configuration names. */
import type { webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { importJWK } from 'jose';
import { PROCEDURES } from '../../calibration/procedures/index.js';
import { loadSigner, readPrivateJwk, thumbprint } from '../../certs/keys.js';
import { OutboardError } from '../../core/errors.js';
import { loadProfiles } from '../../drivers/processors/profile.js';
import { createUnit } from '../../drivers/processors/unit.js';
import { audioDriver, modifierOf } from '../audio-driver.js';
import { loadCalibration } from '../calibration-file.js';
import type { Logger } from '../log.js';
import { loadMeasurementLimits } from '../measurement-limits-file.js';
import { checkPatchbays } from '../patchbay-routes.js';
import type { LoadedRigConfig } from '../rig-config.js';
import { unitPorts } from '../unit-port.js';
import type { RigOptions } from './rig-options.js';

export interface Surroundings {
  log: Logger;
  version: string;
  /** $CREDENTIALS_DIRECTORY of the service manager, where there is one. */
  credentialsDirectory: string | undefined;
  /** Sockets that the service manager opened, by name: `courier`, `control`. */
  inherited: Record<string, number>;
  onIndeterminate(error: OutboardError): void;
}

/** @throws OutboardError config.key | config.unreadable | config.invalid | profile.* */
export async function rigOptions(loaded: LoadedRigConfig, around: Surroundings): Promise<RigOptions> {
  const { config, resolve } = loaded;
  const { log } = around;
  const signingJwk = await readPrivateJwk(resolve(config.keys.signing), 'Ed25519');
  const profiles = await loadProfiles();
  const ports = unitPorts(loaded, profiles);
  checkPatchbays(config, profiles);
  // Read anew for every run; what cannot be read now is a fault of the configuration.
  await loadMeasurementLimits(loaded, profiles);
  const { audio, device, analog } = await audioDriver(loaded);
  const { courier, control } = config.sockets;
  return {
    config,
    calibration: await loadCalibration(loaded),
    measurementLimits: () => loadMeasurementLimits(loaded, profiles),
    stateDir: resolve(config.stateDir),
    journalKey: await journalKey(loaded, around.credentialsDirectory),
    wrappingKeys: await wrappingKeys([config.keys.wrapping].flat().map(resolve)),
    signer: await loadSigner(config.rig, signingJwk),
    initialTrust: config.trust.bundle ? await readFile(resolve(config.trust.bundle), 'utf8').catch(() => null) : null,
    audio,
    device,
    profiles,
    procedures: PROCEDURES,
    makeUnit: (name, _, insert) => {
      const { profile, transport } = ports.get(name)!;
      return createUnit({ name, profile, transport: transport(modifierOf(analog, name, insert)), logger: log });
    },
    listeners: {
      courier: listener(around.inherited['courier'], resolve(courier)),
      control: listener(around.inherited['control'], resolve(control)),
    },
    version: around.version,
    log,
    onIndeterminate: around.onIndeterminate,
  };
}

async function wrappingKeys(files: readonly string[]): Promise<Map<string, webcrypto.CryptoKey>> {
  const keys = new Map<string, webcrypto.CryptoKey>();
  for (const file of files) {
    const jwk = await readPrivateJwk(file, 'X25519');
    keys.set(await thumbprint(jwk), (await importJWK({ ...jwk, ext: false }, 'ECDH-ES+A256KW')) as webcrypto.CryptoKey);
  }
  return keys;
}

function listener(fd: number | undefined, path: string): { fd: number } | { path: string } {
  return fd === undefined ? { path } : { fd };
}

/** 32 raw bytes from the service manager's credentials, or from the configured file. */
async function journalKey(loaded: LoadedRigConfig, credentials: string | undefined): Promise<Buffer> {
  const { config, resolve, file } = loaded;
  const path = credentials
    ? join(credentials, 'journal.key')
    : config.journal.keyFile
      ? resolve(config.journal.keyFile)
      : undefined;
  if (!path)
    throw new OutboardError('config.key', `${file}: journal.keyFile is not set and there is no credential journal.key`);
  let key: Buffer;
  try {
    key = await readFile(path);
  } catch (cause) {
    throw new OutboardError('config.key', `the journal key ${path} cannot be read`, { cause });
  }
  if (key.length !== 32)
    throw new OutboardError('config.key', `the journal key ${path} has ${key.length} bytes, not 32`);
  return key;
}
