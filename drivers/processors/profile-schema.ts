/**
 * The profile file, format `outboard.profile/1`: what a model of processor understands, as data. A key that it does not know is refused,
 * never ignored.
 */
import { z } from 'zod';
import {
  FieldName,
  Latin1,
  Message,
  Milliseconds,
  ParamName,
  Pattern,
  SettingKey,
  SettingState,
} from './schema-basics.js';
import { Dump, Read, Taper, Wire } from './wire-schema.js';

export const Transport = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('virtual') }).meta({ description: 'a unit that exists only as its simulation' }),
  z.strictObject({
    kind: z.literal('serial'),
    baud: z.int().min(50).max(4_000_000),
    format: z.string().regex(/^[78][NEO][12]$/),
    flow: z.enum(['none', 'xonxoff', 'rtscts']),
    bootMs: Milliseconds.optional().meta({
      description: 'a unit that restarts when its port is opened; 0 when absent',
    }),
  }),
  z.strictObject({ kind: z.literal('midi'), link: z.enum(['din', 'usb']) }),
]);
export type Transport = z.infer<typeof Transport>;

export const Framing = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('line'),
    txEnd: Latin1.max(4).meta({ description: 'sent after every command; empty where a command ends by itself' }),
    rxEnd: Latin1.min(1).max(4),
    rxMax: z.int().min(8).max(4096).meta({ description: 'longest line in bytes, without its end' }),
    rxGapMs: Milliseconds.min(1)
      .optional()
      .meta({ description: 'a line that pauses for longer is dropped; 100 when absent' }),
    encoding: z.literal('latin1'),
    echo: z
      .enum(['none', 'command'])
      .meta({ description: 'command: the unit repeats every command before it answers' }),
  }),
  z.strictObject({
    kind: z.literal('midi'),
    sysexMax: z
      .int()
      .min(8)
      .max(65_536)
      .optional()
      .meta({ description: 'longest system exclusive, bytes; 1024 when absent' }),
    rxGapMs: Milliseconds.min(1)
      .optional()
      .meta({ description: 'a message that pauses for longer is dropped; 250 when absent' }),
  }),
  z
    .strictObject({ kind: z.literal('driver'), rxGapMs: Milliseconds.min(1).optional() })
    .meta({ description: 'the code driver knows where a message ends; rxGapMs 100 when absent' }),
]);
export type Framing = z.infer<typeof Framing>;

export const Pacing = z.strictObject({
  gapMs: Milliseconds.meta({ description: 'least pause between the last byte of one exchange and the next command' }),
  replyMs: Milliseconds.min(1).meta({ description: 'time-out of an acknowledgement or a reply' }),
  quietMs: Milliseconds.min(1).optional().meta({ description: 'silence that proves the wire drained; 50 when absent' }),
  bytesPerSec: z
    .number()
    .positive()
    .max(1_000_000)
    .optional()
    .meta({ description: 'what the unit takes, where the wire does not brake; for MIDI 3125 when absent' }),
  maxInFlight: z.literal(1),
  retries: z.int().min(0).max(10),
});

export const Identity = z.strictObject({
  strength: z.enum(['unit', 'model', 'family', 'none']),
  operatorConfirm: z
    .boolean()
    .optional()
    .meta({ description: 'the answer does not prove the model: a person has to look at the front panel' }),
  steps: z.array(
    z.strictObject({
      tx: Message,
      rx: Pattern.meta({ description: 'of the whole answer' }),
      must: z
        .record(z.string(), z.string())
        .optional()
        .meta({ description: 'named groups of rx and what they must be' }),
    }),
  ),
});

const SessionStep = z.strictObject({
  tx: Message,
  rx: Pattern.optional().meta({ description: 'of the whole answer' }),
});

export const Session = z.strictObject({
  begin: z.array(SessionStep).optional().meta({ description: 'after the identity, before anything is set' }),
  end: z.array(SessionStep).optional().meta({ description: 'before the port is closed' }),
  keepAlive: z.strictObject({ ...SessionStep.shape, everyMs: Milliseconds.min(100) }).optional(),
  panel: z.literal(true).optional().meta({
    description: 'what begins it locks the front panel, what ends it unlocks it: in maintenance it is unlocked',
  }),
});

export const Evidence = z.strictObject({
  mark: z.enum(['documented', 'inferred', 'unproven']).meta({
    description:
      "documented: in the maker's manual; inferred: from a relative or a habit; unproven: nobody has tried it",
  }),
  says: z.string().min(8).max(600),
});

export const ErrorMeaning = z.enum(['busy', 'bad-value', 'unsupported']);
export type ErrorMeaning = z.infer<typeof ErrorMeaning>;

const common = {
  axis: z.array(FieldName).length(1).optional(),
  taper: Taper,
  wire: Wire,
  read: Read.optional(),
  verify: z.strictObject({
    by: z.enum(['readback', 'dump', 'ack', 'none']).meta({
      description: 'only readback and dump verify; ack demands the echo of the value but the result stays unverified',
    }),
    tolWire: z.number().min(0).optional().meta({
      description: 'of a number: allowed difference in units of w, at most a twentieth of their span; 0 when absent',
    }),
    withinMs: Milliseconds.optional().meta({
      description:
        'the unit takes its time (a servo, a motor fader): read again until it agrees, at most so long; 0 when absent',
    }),
    once: z.literal(true).optional().meta({
      description: 'it moves by itself while a take rolls (the place of a tape): verified before the take only',
    }),
  }),
  default: z
    .union([z.number(), z.boolean(), z.string()])
    .optional()
    .meta({ description: 'what a take gets that does not name the setting; when absent it stays as it is' }),
  needs: SettingState.optional().meta({
    description: 'what has to be set before this can be; same index where both have the axis',
  }),
  slew: z
    .strictObject({ maxStep: z.number().positive(), everyMs: Milliseconds })
    .optional()
    .meta({ description: 'a change goes in steps of at most maxStep, in the unit of the value' }),
  settleMs: Milliseconds.optional().meta({ description: '0 when absent' }),
  settlePer: z
    .strictObject({ base: Milliseconds, perUnit: z.number().min(0) })
    .optional()
    .meta({ description: 'settling computed from the change: base + perUnit x difference, ms' }),
  hazard: z
    .enum(['level', 'phantom', 'erase'])
    .optional()
    .meta({ description: 'can hurt equipment, ears or a recording: needs a safe value' }),
  evidence: Evidence.optional().meta({ description: "where it differs from the profile's" }),
};

const GainOfEach = z
  .strictObject({ db: z.record(z.string().max(64), z.number()) })
  .optional()
  .meta({
    description: 'counts against isolation: how many dB each value adds in the signal path, one for every value',
  });

export const Param = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('number'),
    unit: z.string().min(1).max(16),
    min: z.number(),
    max: z.number(),
    step: z
      .number()
      .positive()
      .optional()
      .meta({ description: 'may be absent for a table: its positions are the grid' }),
    gain: z
      .union([z.literal(true), z.strictObject({ atMostDb: z.number() })])
      .optional()
      .meta({
        description:
          'counts against isolation: true, the value, in dB, is gain in the signal path; atMostDb, it is gain of an unknown law',
      }),
    ...common,
  }),
  z.strictObject({ kind: z.literal('bool'), gain: GainOfEach, ...common }),
  z.strictObject({ kind: z.literal('enum'), gain: GainOfEach, ...common }),
  z
    .strictObject({
      kind: z.literal('route'),
      min: z.literal(0),
      max: z.int().min(1).max(9999),
      with: SettingState.optional().meta({
        description:
          'what lets sound through beside the route, by bare names: of the same axis for this output, of another for the input that it hears; of a patchbay the rig sets it with the route and puts it back to its safe value after',
      }),
      ...common,
    })
    .meta({ description: 'which input an output hears; 0 is none. Never a setting of a job: the rig sets it' }),
]);
export type Param = z.infer<typeof Param>;

export const DriveTarget = z.enum(['gainDb', 'muted', 'delaySeconds', 'erasing', 'routes']);
export type DriveTarget = z.infer<typeof DriveTarget>;

export const KnownFault = z.enum(['late', 'partial', 'silent', 'deaf', 'busy', 'reboot', 'local-change']).meta({
  description:
    'late: answers too late; partial: half an answer; silent: obeys and says nothing; deaf: does not hear a command; busy: says that it is busy; reboot: restarts by itself; local-change: somebody at the unit',
});

export const Sim = z.strictObject({
  bootMs: Milliseconds.optional().meta({ description: 'silence after a power-up; 0 when absent' }),
  banner: Message.optional().meta({ description: 'said at power-up' }),
  replyMs: z.tuple([Milliseconds, Milliseconds]).meta({ description: 'shortest and longest time to an answer' }),
  identity: z.array(Message).meta({ description: 'the answer to each identity step' }),
  session: z
    .strictObject({
      begin: z.array(Message).optional(),
      end: z.array(Message).optional(),
      keepAlive: Message.optional(),
    })
    .optional()
    .meta({ description: 'the answers to the steps of session that want one, in their order' }),
  errors: z.partialRecord(ErrorMeaning, Message).meta({ description: 'the message that says each kind of error' }),
  faults: z
    .array(KnownFault)
    .optional()
    .meta({ description: 'what this model is known to do now and then; the sweep does it to the simulated unit' }),
  drives: z
    .record(SettingKey, z.union([DriveTarget, z.strictObject({ to: DriveTarget, scale: z.number() })]))
    .optional()
    .meta({
      description:
        'which part of the simulated analog path a setting moves; gains and delays add up; a bare name of a route with an axis moves routes',
    }),
});

/** What is done to a unit, in order; each setting is verified before the next step. */
const Steps = z
  .array(
    z.union([z.strictObject({ set: SettingState }), z.strictObject({ waitSeconds: z.number().positive().max(7200) })]),
  )
  .min(1);

export const ProfileDocument = z.strictObject({
  schema: z.literal('outboard.profile/1'),
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/),
  version: z.string().regex(/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/),
  sources: z.array(z.strictObject({ kind: z.string(), ref: z.string() })).optional(),
  evidence: Evidence.optional().meta({ description: 'how sure this profile is, as a whole' }),
  device: z.strictObject({ make: z.string(), model: z.string(), class: z.array(z.string()).min(1) }),
  transport: Transport,
  framing: Framing,
  pacing: Pacing,
  driver: z.enum(['sony9pin', 'sixtyfour']).optional().meta({ description: 'the code that speaks for this profile' }),
  vars: z
    .record(
      FieldName,
      z.strictObject({ type: z.literal('int'), min: z.int().min(0), max: z.int().max(65_535), default: z.int() }),
    )
    .optional()
    .meta({ description: 'what differs between two units of this model, such as a MIDI channel; rig.yaml sets it' }),
  identity: Identity,
  session: Session.optional(),
  errors: z.array(z.strictObject({ rx: Pattern, as: ErrorMeaning })).default([]),
  unsolicited: z.array(z.strictObject({ rx: Pattern, means: z.enum(['reboot', 'local-change']) })).default([]),
  axes: z
    .record(
      FieldName,
      z.strictObject({
        from: z.int().min(1),
        to: z.int().min(1).max(9999),
        link: z
          .array(z.array(z.int().min(1)).min(2))
          .optional()
          .meta({ description: 'indices that the unit moves together: a take sets all of a group, to the same value' }),
      }),
    )
    .optional(),
  dumps: z.record(FieldName, Dump).optional(),
  params: z.record(ParamName, Param),
  order: z.array(z.union([ParamName, z.literal('*')])).meta({ description: '* is every parameter not named' }),
  interlocks: z
    .array(
      z.strictObject({
        changing: z.array(ParamName).min(1),
        before: SettingState.meta({ description: 'same index where both have the axis' }),
        beforeSettleMs: Milliseconds,
        after: z.literal('restore'),
      }),
    )
    .optional()
    .meta({ description: 'what is set, and left to settle, while others change' }),
  safe: z.strictObject({
    state: SettingState,
    order: z.array(ParamName).optional().meta({ description: 'those first; then the profile order' }),
    settleMs: Milliseconds,
    onLinkLoss: z.literal('operator'),
    silent: z.literal(true).optional().meta({
      description: 'it lets nothing through then: whoever listens hears nothing of what it holds',
    }),
  }),
  panel: SettingState.optional().meta({
    description:
      'what gives the front panel to people: set in maintenance, and when the rig stops; after it, each goes back to its default',
  }),
  memory: z
    .union([
      z.strictObject({ seconds: z.number().positive().max(600) }),
      z.strictObject({
        procedure: Steps,
      }),
    ])
    .optional()
    .meta({
      description:
        'how long the unit remembers what it was sent, or how it is made to forget; before another tenant comes',
    }),
  hearing: Steps.optional().meta({
    description:
      'how it comes to let through what it still holds, where its safe state does not; before it is heard to be quiet',
  }),
  sim: Sim,
  vectors: z
    .array(z.strictObject({ set: SettingState, tx: Message, rx: Message.optional(), dump: Message.optional() }))
    .min(1)
    .meta({
      description:
        'one setting, the exact bytes for it and the exact acknowledgement; dump: what is read first, for enc bits',
    }),
});
export type ProfileDocument = z.infer<typeof ProfileDocument>;
