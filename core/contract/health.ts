/** What everybody may know about a rig: its signed state, health and alerts. No job's content is in them. */
import { z } from 'zod';
import { LocalName, Problem, RigId, Seconds, Uuid } from './primitives.js';

export const Mode = z.enum(['starting', 'ready', 'draining', 'maintenance', 'released', 'faulted', 'stopping']);
export type Mode = z.infer<typeof Mode>;

/** Said every 30 s and at each change; a reader takes it for stale after `ttl` seconds. */
export const STATE_INTERVAL_SECONDS = 30;
export const STATE_TTL_SECONDS = 90;

export const StatePayload = z.strictObject({
  iss: RigId,
  iat: Seconds,
  seq: z.int().min(1).meta({ description: 'rises by every document of this rig, also over restarts' }),
  ttl: z.int().min(1),
  state: z.strictObject({
    mode: Mode,
    since: Seconds,
    lastFault: z.strictObject({ at: Seconds, problem: Problem }).optional(),
    maintenance: z.strictObject({ until: Seconds, reason: z.string() }).optional(),
    epoch: z.int().min(1),
    version: z.string(),
    virtual: z.boolean().meta({ description: 'true when the interface is simulated' }),
    audit: z.strictObject({ seq: z.int().min(0), head: z.string() }),
    trust: z.strictObject({ version: z.int(), exp: Seconds }).nullable(),
    jobs: z.record(z.string(), z.int().min(0)).meta({ description: 'number of open jobs by state' }),
    processors: z.array(
      z.strictObject({ name: LocalName, profile: z.string(), insert: LocalName.optional(), state: z.string() }),
    ),
    inserts: z.array(z.strictObject({ name: LocalName, channels: z.int() })),
    rates: z.array(z.int()),
  }),
});
export type StatePayload = z.infer<typeof StatePayload>;

/** The courier's and the will's only word; unsigned, and it says nothing else. */
export const UnreachableDocument = z.strictObject({ unreachable: RigId });
export type UnreachableDocument = z.infer<typeof UnreachableDocument>;

export const HealthStatus = z.enum(['ok', 'degraded', 'failed']);
export type HealthStatus = z.infer<typeof HealthStatus>;
export const Subsystem = z.enum(['host', 'interface', 'processors', 'journal', 'trust', 'courier']);
export type Subsystem = z.infer<typeof Subsystem>;

export const HealthCheck = z.strictObject({
  name: z.string(),
  status: HealthStatus,
  detail: z.string(),
  value: z.number().optional(),
  unit: z.string().optional(),
});
export type HealthCheck = z.infer<typeof HealthCheck>;

export const HealthPayload = z.strictObject({
  iss: RigId,
  iat: Seconds,
  seq: z.int().min(1),
  ttl: z.int().min(1),
  health: z.strictObject({ subsystem: Subsystem, status: HealthStatus, checks: z.array(HealthCheck) }),
});
export type HealthPayload = z.infer<typeof HealthPayload>;

/** `notice`: what an alert with the same code said is over. */
export const Severity = z.enum(['notice', 'warning', 'critical']);
export type Severity = z.infer<typeof Severity>;

export const AlertPayload = z.strictObject({
  iss: RigId,
  iat: Seconds,
  jti: Uuid,
  alert: z.strictObject({ severity: Severity, problem: Problem }),
});
export type AlertPayload = z.infer<typeof AlertPayload>;
