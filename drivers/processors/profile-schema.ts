/**
 * The profile file, format `outboard.profile/1`: what a model of processor understands, as data. This reads line-based ASCII units;
 * the keys that it has mean what they mean in the whole format, and a key that it does not know is refused, never ignored.
 */
import { z } from 'zod';

const NAME = /^[A-Za-z][A-Za-z0-9]{0,31}$/;
/** `name`, `name@axis=n`; in `safe.state` a bare name of a parameter with an axis means every index. */
const SettingKey = z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,31}(@[a-z]{1,16}=[1-9]\d{0,3})?$/);
const SettingState = z.record(SettingKey, z.union([z.number(), z.boolean(), z.string()]));
const ParamName = z.string().regex(NAME);
const AxisName = z.string().regex(/^[a-z]{1,16}$/);
const Latin1 = z.string().refine((text) => !/[^\0-\xff]/.test(text), 'only latin1 characters');
const Milliseconds = z.number().min(0).max(600_000);
/** JavaScript regular expression, `u` flag. */
const Pattern = z.string().refine((text) => {
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}, 'not a regular expression');

export const Transport = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('virtual') }).meta({ description: 'a unit that exists only as its simulation' }),
  z.strictObject({
    kind: z.literal('serial'),
    baud: z.int().min(50).max(4_000_000),
    format: z.string().regex(/^[78][NEO][12]$/),
    flow: z.enum(['none', 'xonxoff', 'rtscts']),
  }),
]);

export const Framing = z.strictObject({
  kind: z.literal('line'),
  txEnd: Latin1.max(4).meta({ description: 'sent after every command; empty where a command ends by itself' }),
  rxEnd: Latin1.min(1).max(4),
  rxMax: z.int().min(8).max(4096).meta({ description: 'longest line in bytes, without its end' }),
  rxGapMs: Milliseconds.min(1)
    .optional()
    .meta({ description: 'a line that pauses for longer is dropped; 100 when absent' }),
  encoding: z.literal('latin1'),
  echo: z.literal('none'),
});

export const Pacing = z.strictObject({
  gapMs: Milliseconds.meta({ description: 'least pause between the last byte of one exchange and the next command' }),
  replyMs: Milliseconds.min(1).meta({ description: 'time-out of an acknowledgement or a reply' }),
  quietMs: Milliseconds.min(1).optional().meta({ description: 'silence that proves the wire drained; 50 when absent' }),
  maxInFlight: z.literal(1),
  retries: z.int().min(0).max(10),
});

export const Identity = z.strictObject({
  strength: z.enum(['unit', 'model', 'family', 'none']),
  steps: z.array(
    z.strictObject({
      tx: Latin1.min(1),
      rx: Pattern.meta({ description: 'of the whole line' }),
      must: z.record(z.string(), z.string()).meta({ description: 'named groups of rx and what they must be' }),
    }),
  ),
});

export const ErrorMeaning = z.enum(['busy', 'bad-value', 'unsupported']);
export type ErrorMeaning = z.infer<typeof ErrorMeaning>;

const Taper = z.discriminatedUnion('t', [
  z.strictObject({
    t: z.literal('linear'),
    scale: z.number().optional().meta({ description: 'w = value x scale + offset; 1 when absent' }),
    offset: z.number().optional().meta({ description: '0 when absent' }),
  }),
  z.strictObject({
    t: z.literal('table'),
    interp: z.enum(['linear', 'none']),
    points: z
      .array(z.tuple([z.int(), z.number()]))
      .min(2)
      .meta({ description: '[w, value], w rising' }),
  }),
  z.strictObject({
    t: z.literal('log'),
    wire: z.tuple([z.int(), z.int()]).meta({ description: 'w at min and w at max' }),
  }),
  z.strictObject({ t: z.literal('enum'), map: z.record(z.string().max(64), z.int()) }),
]);
export type Taper = z.infer<typeof Taper>;

const common = {
  axis: z.array(AxisName).length(1).optional(),
  taper: Taper,
  wire: z.strictObject({
    enc: z.literal('ascii'),
    tx: z.string(),
    txNeg: z.string().optional().meta({ description: 'for w below 0, where the unit has another command for it' }),
    ack: z.string().optional(),
  }),
  read: z.strictObject({ tx: z.string(), reply: z.string() }).optional(),
  verify: z.strictObject({
    by: z.enum(['readback', 'ack', 'none']).meta({
      description: 'only readback verifies; ack demands the echo of the value but the result stays unverified',
    }),
    tolWire: z.number().min(0).optional().meta({ description: 'allowed difference in units of w; 0 when absent' }),
  }),
  default: z
    .union([z.number(), z.boolean(), z.string()])
    .optional()
    .meta({ description: 'what a take gets that does not name the setting; when absent it stays as it is' }),
  settleMs: Milliseconds.optional().meta({ description: '0 when absent' }),
  hazard: z.enum(['level']).optional().meta({ description: 'can hurt equipment or ears: needs a safe value' }),
};

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
    gain: z.literal(true).optional().meta({
      description: 'the value, in dB, is gain in the signal path: it counts against isolation. Needs unit dB',
    }),
    ...common,
  }),
  z.strictObject({ kind: z.literal('bool'), ...common }),
  z.strictObject({ kind: z.literal('enum'), ...common }),
]);
export type Param = z.infer<typeof Param>;

export const DriveTarget = z.enum(['gainDb', 'muted', 'delaySeconds']);
export type DriveTarget = z.infer<typeof DriveTarget>;

export const Sim = z.strictObject({
  bootMs: Milliseconds.optional().meta({ description: 'silence after a power-up; 0 when absent' }),
  banner: Latin1.optional().meta({ description: 'said at power-up' }),
  replyMs: z.tuple([Milliseconds, Milliseconds]).meta({ description: 'shortest and longest time to an answer' }),
  identity: z.array(Latin1).meta({ description: 'the answer to each identity step' }),
  errors: z.partialRecord(ErrorMeaning, Latin1).meta({ description: 'the line that says each kind of error' }),
  drives: z
    .record(SettingKey, z.union([DriveTarget, z.strictObject({ to: DriveTarget, scale: z.number() })]))
    .optional()
    .meta({ description: 'which part of the simulated analog path a setting moves; gains and delays add up' }),
});

export const ProfileDocument = z.strictObject({
  schema: z.literal('outboard.profile/1'),
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/),
  version: z.string().regex(/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/),
  sources: z.array(z.strictObject({ kind: z.string(), ref: z.string() })).optional(),
  device: z.strictObject({ make: z.string(), model: z.string(), class: z.array(z.string()).min(1) }),
  transport: Transport,
  framing: Framing,
  pacing: Pacing,
  identity: Identity,
  errors: z.array(z.strictObject({ rx: Pattern, as: ErrorMeaning })),
  unsolicited: z.array(z.strictObject({ rx: Pattern, means: z.enum(['reboot', 'local-change']) })),
  axes: z.record(AxisName, z.strictObject({ from: z.int().min(1), to: z.int().min(1).max(9999) })).optional(),
  params: z.record(ParamName, Param),
  order: z.array(z.union([ParamName, z.literal('*')])).meta({ description: '* is every parameter not named' }),
  safe: z.strictObject({
    state: SettingState,
    order: z.array(ParamName).optional().meta({ description: 'those first; then the profile order' }),
    settleMs: Milliseconds,
    onLinkLoss: z.literal('operator'),
  }),
  memory: z
    .strictObject({ seconds: z.number().positive().max(600) })
    .optional()
    .meta({ description: 'how long the unit remembers what it was sent; played out before another tenant' }),
  sim: Sim,
  vectors: z
    .array(z.strictObject({ set: SettingState, tx: z.string(), rx: z.string().optional() }))
    .min(1)
    .meta({ description: 'one setting, the exact command and the exact acknowledgement' }),
});
export type ProfileDocument = z.infer<typeof ProfileDocument>;
