/**
 * The two unix-socket APIs of the rig as data: the schemas that validate are the ones that OpenAPI is generated from.
 * HTTP and JSON, so that `curl --unix-socket` works. Tokens travel as `application/jose`, blobs as `application/octet-stream`.
 */
import { z } from 'zod';
import { CalibrationNews } from './calibration.js';
import { InsertHistoryAnswer, InsertHistoryQuery, RunAnswer, RunsAnswer, RunsQuery } from './calibration-history.js';
import { JOSE, JOSE_JSON } from './envelope.js';
import { RecalledSetting } from './event.js';
import { HealthCheck, HealthPayload, Mode, StatePayload } from './health.js';
import {
  CompactJws,
  Digest,
  Frames,
  LocalName,
  PartyName,
  Problem,
  Seconds,
  SettingName,
  SettingValue,
  Uuid,
} from './primitives.js';

/** One JSON object a line, for as long as there is something to tell. */
export const NDJSON = 'application/x-ndjson';

/** A long poll is answered after at most this long, empty if need be. */
export const MAX_WAIT_SECONDS = 30;
export const WaitQuery = z.strictObject({ wait: z.coerce.number().min(0).max(MAX_WAIT_SECONDS).default(0) });

/** How an offer came: one that the broker retains would come again with every reconnect, and is refused. */
export const OfferQuery = z.strictObject({ retained: z.stringbool().default(false) });

/** 200 means committed: the token needs no second delivery, whatever the verdict. */
export const Receipt = z.strictObject({
  jti: Uuid.optional(),
  verdict: z.enum(['accepted', 'refused', 'known', 'applied', 'discarded']),
  problem: Problem.optional(),
});
export type Receipt = z.infer<typeof Receipt>;

/** One signed document on its way out. `id` is what the courier reports as published. */
export const OutboxItem = z.strictObject({
  id: z.string(),
  channel: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('event'), dispatcher: PartyName }),
    z.strictObject({ kind: z.literal('alert') }),
  ]),
  durable: z
    .boolean()
    .meta({ description: 'false for progress, which is published once at QoS 0 and not reported back' }),
  token: CompactJws,
});
export type OutboxItem = z.infer<typeof OutboxItem>;
export const OutboxAnswer = z.strictObject({ items: z.array(OutboxItem) });
export type OutboxAnswer = z.infer<typeof OutboxAnswer>;
export const PublishedBody = z.strictObject({ ids: z.array(z.string()).min(1).max(1000) });

export const FetchItem = z.strictObject({ digest: Digest, bytes: z.int().min(1), offset: Frames });
export type FetchItem = z.infer<typeof FetchItem>;
export const FetchesAnswer = z.strictObject({ items: z.array(FetchItem) });
export type FetchesAnswer = z.infer<typeof FetchesAnswer>;

export const DeliveryItem = z.strictObject({ digest: Digest, bytes: z.int().min(1) });
export type DeliveryItem = z.infer<typeof DeliveryItem>;
export const DeliveriesAnswer = z.strictObject({ items: z.array(DeliveryItem) });
export type DeliveriesAnswer = z.infer<typeof DeliveriesAnswer>;

/** How a transfer ended, as the courier saw it. `final` says that trying again cannot help. */
export const TransferReport = z.discriminatedUnion('outcome', [
  z.strictObject({ outcome: z.literal('done') }),
  z.strictObject({ outcome: z.literal('failed'), final: z.boolean(), problem: Problem }),
]);
export type TransferReport = z.infer<typeof TransferReport>;

/** What the courier knows of its own connections; the rig shows it as the courier's word. */
export const LinkReport = z.strictObject({
  broker: z.enum(['connected', 'connecting', 'refused']),
  protocol: z.enum(['MQTT 5', 'MQTT 3.1.1']).nullable(),
  store: z.enum(['reachable', 'unreachable', 'unknown']),
  certificateExpires: Seconds.nullable(),
  problem: Problem.optional(),
});
export type LinkReport = z.infer<typeof LinkReport>;

/** The retained documents as they shall stand on the broker now. `after` is the highest `seq` already published. */
export const BroadcastQuery = WaitQuery.extend({ after: z.coerce.number().int().min(0).default(0) });
export const BroadcastAnswer = z.strictObject({
  seq: z.int().min(0),
  state: CompactJws,
  health: z.array(z.strictObject({ subsystem: z.string(), token: CompactJws })),
  calibration: z.array(z.strictObject({ insert: LocalName, token: CompactJws })),
});
export type BroadcastAnswer = z.infer<typeof BroadcastAnswer>;

export const JobSummary = z.strictObject({
  job: Uuid,
  dispatcher: PartyName,
  state: z.string(),
  attempt: z.int().min(0),
  progress: z.strictObject({ phase: z.string(), percent: z.number() }).nullable(),
  updatedAt: Seconds,
  problem: Problem.nullable(),
});
export type JobSummary = z.infer<typeof JobSummary>;

export const StatusAnswer = z.strictObject({
  state: StatePayload.shape.state,
  rig: z.string(),
  health: z.array(HealthPayload.shape.health),
  link: LinkReport.nullable(),
  jobs: z.array(JobSummary),
  counters: z.record(z.string(), z.int()),
});
export type StatusAnswer = z.infer<typeof StatusAnswer>;

export const NonceAnswer = z.strictObject({ nonce: z.string(), rig: z.string(), seconds: z.int() });
export type NonceAnswer = z.infer<typeof NonceAnswer>;
/** What a unit says of itself: the named groups of its profile's patterns, such as part or firmware. */
const Identity = z.record(z.string(), z.string());

export const SessionAnswer = z.strictObject({
  mode: z.string(),
  until: Seconds.nullable(),
  settings: z.array(RecalledSetting).optional().meta({ description: 'after processors.set' }),
  identity: Identity.optional().meta({ description: 'after processors.identify' }),
  run: Uuid.optional().meta({ description: 'after calibrate.start' }),
});
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/** `probe`: has another process try to open the device first, which takes some tenths of a second. */
export const InterfaceQuery = z.strictObject({ probe: z.stringbool().default(false) });

export const ClaimProofAnswer = z.strictObject({
  exclusive: z.boolean().meta({ description: 'shown, not only assumed: every check holds' }),
  device: z.string(),
  detail: z.string(),
  checks: z.array(
    z.strictObject({
      name: z.enum(['owner', 'busy-probe', 'hw-params', 'sub-devices', 'model']),
      holds: z.boolean().nullable().meta({ description: 'null where it could not be looked at' }),
      detail: z.string(),
    }),
  ),
});
export type ClaimProofAnswer = z.infer<typeof ClaimProofAnswer>;

export const InterfaceAnswer = z.strictObject({
  rig: z.string(),
  driver: z.string(),
  device: z.strictObject({ playback: z.string(), capture: z.string() }),
  mode: Mode,
  problem: Problem.nullable().meta({ description: 'why no take can roll, or null' }),
  proof: ClaimProofAnswer.nullable().meta({ description: 'null while the device is not held' }),
  checks: z.array(HealthCheck),
});
export type InterfaceAnswer = z.infer<typeof InterfaceAnswer>;

export const ProcessorSummary = z.strictObject({
  name: LocalName,
  profile: z.strictObject({ id: z.string(), version: z.string(), hash: Digest }),
  device: z.string().meta({ description: 'make and model' }),
  insert: LocalName.nullable(),
  patchbay: z.boolean(),
  port: z.string(),
  state: z.string(),
  safeOwed: z.boolean().meta({ description: 'its safe state was not reached yet: it takes no job' }),
  lastSafe: RecalledSetting.shape.state
    .nullable()
    .meta({ description: 'how its safe state was last reached; null: not since it answers' }),
  identity: Identity.nullable().meta({ description: 'null while there is no link' }),
  identityStrength: z.string(),
  lastError: Problem.nullable().meta({ description: 'stays after the state is good again' }),
  lastWireMs: z.number().meta({ description: 'of the last recall, first byte to last read-back, without settling' }),
});
export type ProcessorSummary = z.infer<typeof ProcessorSummary>;

export const ProcessorsAnswer = z.strictObject({
  rig: z.string(),
  mode: Mode,
  processors: z.array(ProcessorSummary),
});
export type ProcessorsAnswer = z.infer<typeof ProcessorsAnswer>;

export const ProcessorAnswer = z.strictObject({
  rig: z.string(),
  mode: Mode,
  processor: ProcessorSummary,
  read: z.boolean().meta({ description: 'true when the unit was asked: only in maintenance' }),
  parameters: z.array(
    z.strictObject({
      name: SettingName,
      kind: z.string(),
      unit: z.string().nullable(),
      range: z.string(),
      present: SettingValue.nullable().meta({ description: 'null where it was not read, or cannot be' }),
      safe: SettingValue.nullable(),
      verify: z.string(),
      hazard: z.string().nullable(),
    }),
  ),
});
export type ProcessorAnswer = z.infer<typeof ProcessorAnswer>;

export interface Route {
  socket: 'courier' | 'control';
  method: 'GET' | 'POST' | 'PUT' | 'HEAD';
  path: string;
  summary: string;
  query?: z.ZodType;
  body?: { type: typeof JOSE | typeof JOSE_JSON | 'application/json' | 'application/octet-stream'; schema?: z.ZodType };
  answer?: {
    type: 'application/json' | 'application/x-ndjson' | 'application/octet-stream' | 'none';
    schema?: z.ZodType;
  };
}

const json = (schema: z.ZodType) => ({ type: 'application/json' as const, schema });
const nothing = { type: 'none' as const };

export const ROUTES: readonly Route[] = [
  {
    socket: 'courier',
    method: 'POST',
    path: '/offers',
    summary: 'An offer as it came in. 200 means committed or discarded for good.',
    query: OfferQuery,
    body: { type: JOSE },
    answer: json(Receipt),
  },
  {
    socket: 'courier',
    method: 'POST',
    path: '/control',
    summary: 'A cancel or an acknowledgement as it came in.',
    body: { type: JOSE },
    answer: json(Receipt),
  },
  {
    socket: 'courier',
    method: 'POST',
    path: '/trust',
    summary: 'A trust bundle as it came in.',
    body: { type: JOSE_JSON },
    answer: json(Receipt),
  },
  {
    socket: 'courier',
    method: 'GET',
    path: '/outbox',
    summary: 'Long poll for documents that are due to be published.',
    query: WaitQuery,
    answer: json(OutboxAnswer),
  },
  {
    socket: 'courier',
    method: 'POST',
    path: '/outbox/published',
    summary: 'The broker has these. Events stay until their dispatcher acknowledges them.',
    body: { type: 'application/json', schema: PublishedBody },
    answer: nothing,
  },
  {
    socket: 'courier',
    method: 'GET',
    path: '/fetches',
    summary: 'Long poll for sources that the rig wants.',
    query: WaitQuery,
    answer: json(FetchesAnswer),
  },
  {
    socket: 'courier',
    method: 'POST',
    path: '/fetches/:digest',
    summary: 'Why a fetch did not work.',
    body: { type: 'application/json', schema: TransferReport },
    answer: nothing,
  },
  {
    socket: 'courier',
    method: 'GET',
    path: '/deliveries',
    summary: 'Long poll for results that the store shall have.',
    query: WaitQuery,
    answer: json(DeliveriesAnswer),
  },
  {
    socket: 'courier',
    method: 'POST',
    path: '/deliveries/:digest',
    summary: 'The store has it, or why not.',
    body: { type: 'application/json', schema: TransferReport },
    answer: nothing,
  },
  {
    socket: 'courier',
    method: 'HEAD',
    path: '/blobs/:digest',
    summary: 'Upload-Offset says where to resume.',
    answer: nothing,
  },
  {
    socket: 'courier',
    method: 'PUT',
    path: '/blobs/:digest',
    summary:
      'Bytes of a source, from Upload-Offset on; only what the rig asked for. 201 when it is complete and its digest right, 204 when more is to come.',
    body: { type: 'application/octet-stream' },
    answer: nothing,
  },
  {
    socket: 'courier',
    method: 'GET',
    path: '/blobs/:digest',
    summary: 'Bytes of a sealed result; Range is honoured.',
    answer: { type: 'application/octet-stream' },
  },
  {
    socket: 'courier',
    method: 'GET',
    path: '/broadcast',
    summary: 'Long poll for the signed state, health and calibration that shall be retained at the broker.',
    query: BroadcastQuery,
    answer: json(BroadcastAnswer),
  },
  {
    socket: 'courier',
    method: 'POST',
    path: '/link',
    summary: "The courier's own connections.",
    body: { type: 'application/json', schema: LinkReport },
    answer: nothing,
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/status',
    summary: 'Mode, health, jobs and counters.',
    answer: json(StatusAnswer),
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/interface',
    summary: 'The hold on the audio interface and what proves it, the format, the loop latency, the faults so far.',
    query: InterfaceQuery,
    answer: json(InterfaceAnswer),
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/processors',
    summary: 'Every processor: state, identity, port, last error. Asks none of them.',
    answer: json(ProcessorsAnswer),
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/processors/:name',
    summary: 'One processor with all its parameters; in maintenance with their present values, read from the unit now.',
    answer: json(ProcessorAnswer),
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/calibration/runs',
    summary: 'The runs of calibration, newest first.',
    query: RunsQuery,
    answer: json(RunsAnswer),
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/calibration/runs/:run',
    summary: 'The signed document of one run, with every measurement and curve.',
    answer: json(RunAnswer),
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/calibration/inserts/:insert',
    summary: 'Calibration, limits, baselines and trends of one insert.',
    query: InsertHistoryQuery,
    answer: json(InsertHistoryAnswer),
  },
  {
    socket: 'control',
    method: 'POST',
    path: '/trust',
    summary: 'Installs a trust bundle.',
    body: { type: JOSE_JSON },
    answer: json(Receipt),
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/session/nonce',
    summary: 'A nonce for one signed request on this connection.',
    answer: json(NonceAnswer),
  },
  {
    socket: 'control',
    method: 'GET',
    path: '/calibration/runs/:run/live',
    summary:
      'What happens in a run of calibration, one JSON object a line, until its document has come. The run ends when the connection closes on which it was asked for.',
    answer: { type: NDJSON, schema: CalibrationNews },
  },
  {
    socket: 'control',
    method: 'POST',
    path: '/session',
    summary: "A technician's signed request, for instance to enter maintenance.",
    body: { type: JOSE },
    answer: json(SessionAnswer),
  },
];
