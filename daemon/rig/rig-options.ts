/** What a rig is put together from: what is simulated or real, where keys and sockets are, stands here and is decided by whoever makes it. */
import type { webcrypto } from 'node:crypto';
import type { Procedure } from '../../calibration/procedures/procedure.js';
import type { Signer } from '../../certs/keys.js';
import type { CalibrationFile, CalibrationKind, EffectiveLimits, RigConfig } from '../../core/contract/index.js';
import type { OutboardError } from '../../core/errors.js';
import type { AudioInterface } from '../../drivers/audio/port.js';
import type { Profile } from '../../drivers/processors/profile.js';
import type { DevicePair } from '../audio-driver.js';
import type { Logger } from '../log.js';
import type { Listener } from './api/server.js';
import type { CommitObserver } from './journal/database.js';
import type { UnitFactory } from './rack.js';

export interface RigOptions {
  config: RigConfig;
  calibration: CalibrationFile | null;
  /** As they stand now: technicians edit them while the rig runs. @throws OutboardError config.* | limits.* */
  measurementLimits(): Promise<ReadonlyMap<string, EffectiveLimits>>;
  stateDir: string;
  journalKey: Buffer;
  /** By thumbprint: the present one, and those before it while grants for them are open. */
  wrappingKeys: ReadonlyMap<string, webcrypto.CryptoKey>;
  signer: Signer;
  /** A bundle to install when none is in force or this one is newer. */
  initialTrust: string | null;
  audio: AudioInterface;
  device: DevicePair;
  profiles: ReadonlyMap<string, Profile>;
  makeUnit: UnitFactory;
  procedures: Readonly<Record<CalibrationKind, Procedure>>;
  listeners: { courier: Listener; control: Listener };
  version: string;
  log: Logger;
  observer?: CommitObserver;
  /** Begins a new epoch because the state was restored from a backup: why. */
  newEpoch?: string;
  /** Ends the process at once, outputs muted: the journal's state is unknown. */
  onIndeterminate(error: OutboardError): void;
}
