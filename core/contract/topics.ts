/** The MQTT topics: who publishes, who reads, what they carry. The broker's ACL and AsyncAPI are made from this table. */
import type { Subsystem } from './health.js';

export const TOPIC_ROOT = 'outboard/v1';
/** Goes to every rig. */
export const TRUST_TOPIC = `${TOPIC_ROOT}/trust`;

export function topics(rig: string) {
  const base = `${TOPIC_ROOT}/${rig}`;
  return {
    offer: `${base}/offer`,
    control: `${base}/control`,
    event: (dispatcher: string) => `${base}/event/${dispatcher}`,
    state: `${base}/state`,
    health: (subsystem: Subsystem) => `${base}/health/${subsystem}`,
    alert: `${base}/alert`,
    calibration: (insert: string) => `${base}/calibration/${insert}`,
    trust: TRUST_TOPIC,
  };
}

export interface TopicRow {
  /** Address with AsyncAPI parameters in braces. */
  address: string;
  direction: 'to the rig' | 'from the rig';
  publisher: string;
  reader: string;
  retained: boolean;
  qos: 0 | 1;
  carries: string;
  /** Names of the schemas in `schemas.ts`. */
  schemas: string[];
}

export const TOPIC_TABLE: readonly TopicRow[] = [
  {
    address: 'outboard/v1/{rig}/offer',
    direction: 'to the rig',
    publisher: 'dispatcher',
    reader: 'courier',
    retained: false,
    qos: 1,
    carries: 'a job, as compact JWS',
    schemas: ['JobPayload'],
  },
  {
    address: 'outboard/v1/{rig}/control',
    direction: 'to the rig',
    publisher: 'dispatcher',
    reader: 'courier',
    retained: false,
    qos: 1,
    carries: 'a cancel or an acknowledgement, as compact JWS',
    schemas: ['CancelPayload', 'AckPayload'],
  },
  {
    address: 'outboard/v1/trust',
    direction: 'to the rig',
    publisher: 'keeper',
    reader: 'courier',
    retained: true,
    qos: 1,
    carries: 'the trust bundle, as JWS in general JSON serialization',
    schemas: ['TrustDocument'],
  },
  {
    address: 'outboard/v1/{rig}/event/{dispatcher}',
    direction: 'from the rig',
    publisher: 'courier',
    reader: 'dispatcher',
    retained: false,
    qos: 1,
    carries: 'an event of one of its own jobs, as compact JWS',
    schemas: ['EventPayload'],
  },
  {
    address: 'outboard/v1/{rig}/state',
    direction: 'from the rig',
    publisher: 'courier',
    reader: 'dispatcher, keeper and monitor',
    retained: true,
    qos: 1,
    carries: 'the signed state as compact JWS, or the unsigned word that the rig is unreachable',
    schemas: ['StatePayload', 'UnreachableDocument'],
  },
  {
    address: 'outboard/v1/{rig}/health/{subsystem}',
    direction: 'from the rig',
    publisher: 'courier',
    reader: 'dispatcher and monitor',
    retained: true,
    qos: 1,
    carries: 'the signed health of a subsystem, as compact JWS',
    schemas: ['HealthPayload'],
  },
  {
    address: 'outboard/v1/{rig}/alert',
    direction: 'from the rig',
    publisher: 'courier',
    reader: 'monitor',
    retained: false,
    qos: 1,
    carries: 'a signed alert, as compact JWS',
    schemas: ['AlertPayload'],
  },
  {
    address: 'outboard/v1/{rig}/calibration/{insert}',
    direction: 'from the rig',
    publisher: 'courier',
    reader: 'monitor',
    retained: true,
    qos: 1,
    carries: 'the signed summary of the calibration of an insert, as compact JWS',
    schemas: ['CalibrationSummaryPayload'],
  },
];
