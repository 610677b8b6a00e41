/** The configuration files: `rig.yaml`, `courier.yaml`, `client.yaml`. Paths are relative to the file that names them. */
import { z } from 'zod';
import { Recipient } from './grant.js';
import { LocalName, PartyName, RateHz, RigId, TenantId } from './primitives.js';
import { Roots } from './trust.js';

const FilePath = z.string().min(1);
const Channels = z.array(z.int().min(1).max(1024)).min(1).max(8);

/** The simulated analog path of one insert; a real rig has none. */
export const VirtualPath = z.strictObject({
  gainDb: z.number().min(-120).max(40).default(0),
  delayFrames: z.int().min(0).max(1_000_000).default(0),
  poly: z.array(z.number()).max(9).default([]).meta({ description: 'coefficients of x^2, x^3, … added to x' }),
  noiseDbfs: z
    .number()
    .max(0)
    .nullable()
    .default(null)
    .meta({ description: 'RMS of white noise at the return, dBFS as AES17' }),
  lowpassHz: z.number().positive().nullable().default(null).meta({ description: 'first-order corner frequency' }),
  crosstalkDb: z
    .number()
    .max(0)
    .nullable()
    .default(null)
    .meta({ description: 'what each return also hears of every other channel of the insert' }),
  memorySeconds: z
    .number()
    .min(0)
    .max(600)
    .default(0)
    .meta({ description: 'time until what it remembers has fallen by 60 dB' }),
});
export type VirtualPath = z.infer<typeof VirtualPath>;

/** One output that is wired to one input for good. */
export const SyncWire = z.strictObject({
  send: z.int().min(1).max(1024),
  return: z.int().min(1).max(1024),
  levelDbfs: z.number().min(-60).max(-3).default(-20),
});
export type SyncWire = z.infer<typeof SyncWire>;

export const VirtualInterfaceConfig = z.strictObject({
  driver: z.literal('virtual'),
  clock: z.enum(['realtime', 'fast']),
  rates: z.array(RateHz).min(1),
  in: z.int().min(1).max(128),
  out: z.int().min(1).max(128),
  loopLatencyFrames: z.int().min(0).max(48_000).default(64),
  bufferFrames: z
    .int()
    .min(256)
    .max(4_194_304)
    .default(131_072)
    .meta({ description: 'length of the playback and capture rings' }),
  sync: SyncWire.optional().meta({
    description: 'an ideal wire from one output to one input, with a known sequence on it',
  }),
  crosstalk: z
    .array(z.strictObject({ from: LocalName, to: LocalName, db: z.number().max(0) }))
    .default([])
    .meta({ description: 'what really leaks on the simulated rig, insert to insert' }),
  leakage: z
    .array(z.strictObject({ patchbay: LocalName, db: z.number().max(0) }))
    .optional()
    .meta({ description: 'what really leaks in a simulated patchbay, from every input to every output' }),
});
export type VirtualInterfaceConfig = z.infer<typeof VirtualInterfaceConfig>;

/**
 * An ALSA device of the kernel's own, by the name of its card: a number changes with the order in which cards are found, and every other
 * kind of name (default, plughw, dmix, pulse) is shared or converts.
 */
export const HwDevice = z
  .string()
  .regex(
    /^hw:CARD=[A-Za-z0-9_-]{1,32},DEV=\d{1,3}$/,
    'write hw:CARD=NAME,DEV=N (`outboard interface list` shows them)',
  );

const HwDevices = z.union([HwDevice, z.strictObject({ playback: HwDevice, capture: HwDevice })]).meta({
  description: 'the card, or its two directions where they have different names',
});

const hardware = {
  device: HwDevices,
  rates: z.array(RateHz).min(1),
  in: z.int().min(1).max(128),
  out: z.int().min(1).max(128),
  format: z.enum(['S32_LE', 'S24_3LE']).default('S32_LE'),
  sync: SyncWire.optional().meta({
    description: 'carries a known sequence: measures the loop latency, and finds lost samples that no driver reports',
  }),
  loopLatencyFrames: z.int().min(0).max(48_000).optional().meta({
    description: 'measured, for an interface without a sync channel whose two directions start together',
  }),
  procRoot: FilePath.default('/proc/asound').meta({ description: 'where the kernel tells of its sound cards' }),
};

export const AlsaInterfaceConfig = z.strictObject({
  driver: z.literal('alsa'),
  ...hardware,
  periodFrames: z.int().min(16).max(8192).default(1024),
  periods: z.int().min(2).max(64).default(8).meta({
    description: 'how much the device buffers: a rig that bounces needs no short latency, and a host may be late',
  }),
  ringSeconds: z.number().min(1).max(30).default(1.5).meta({
    description: 'length of the playback and capture rings: how long the daemon may be held up without losing anything',
  }),
});
export type AlsaInterfaceConfig = z.infer<typeof AlsaInterfaceConfig>;

export const PortaudioInterfaceConfig = z.strictObject({
  driver: z.literal('portaudio'),
  ...hardware,
  periodFrames: z.int().min(4096).max(65_536).default(4096),
});
export type PortaudioInterfaceConfig = z.infer<typeof PortaudioInterfaceConfig>;

export const InterfaceConfig = z.discriminatedUnion('driver', [
  VirtualInterfaceConfig,
  AlsaInterfaceConfig,
  PortaudioInterfaceConfig,
]);
export type InterfaceConfig = z.infer<typeof InterfaceConfig>;

/** One crosspoint of a patchbay: this input is heard at that output. Both count from 1. */
export const Crosspoint = z.strictObject({ in: z.int().min(1).max(9999), out: z.int().min(1).max(9999) });
export type Crosspoint = z.infer<typeof Crosspoint>;

export const InsertConfig = z.strictObject({
  sends: Channels,
  returns: Channels,
  latencyFrames: z.int().min(0).max(1_000_000),
  memorySeconds: z
    .number()
    .min(0)
    .max(600)
    .default(0)
    .meta({ description: 'how long the unit remembers; flushed between tenants' }),
  ceilingDbfs: z.number().min(-60).max(0).default(-1).meta({
    description: 'no stimulus of a measurement is played into it with a higher peak; dB re full scale',
  }),
  path: VirtualPath.optional(),
  via: z.record(LocalName, z.array(Crosspoint).min(1)).optional().meta({
    description: 'the patchbays between the channels and the unit, and the crosspoints that connect it there',
  }),
});
export type InsertConfig = z.infer<typeof InsertConfig>;

const STABLE_SERIAL = /^\/dev\/serial\/by-(id|path)\/[^/]+$/;

/** A serial line, by a name that stays the same when other devices come and go. */
export const SerialPort = z
  .strictObject({
    serial: z
      .string()
      .regex(/^\/./, 'write the whole path, such as /dev/serial/by-id/usb-…')
      .meta({ description: 'under /dev/serial/by-id, or by-path where the adapter has no serial number' }),
    anyPath: z.literal(true).optional().meta({
      description: 'takes any other path, such as /dev/ttyS0: only for a port whose number cannot change',
    }),
    baud: z
      .int()
      .min(50)
      .max(4_000_000)
      .optional()
      .meta({ description: "as it is set at the unit; the profile's when absent" }),
  })
  .refine(({ serial, anyPath }) => anyPath === true || STABLE_SERIAL.test(serial), {
    path: ['serial'],
    message:
      'name the port by /dev/serial/by-id/… (or by-path): other numbers change when devices come and go. anyPath: true takes it anyway',
  });

/** A MIDI port of the host by its name, without the numbers of client and port: those change. */
export const MidiPort = z.strictObject({
  midi: z
    .string()
    .trim()
    .min(1)
    .max(128)
    .meta({ description: 'as `aconnect -l` shows it: the name of the port, or "client:port"' }),
});

/** The simulated unit of the profile, inside of this process, at the other end of a real pty, or at a real MIDI port of the host. */
export const VirtualPort = z.strictObject({ virtual: z.union([z.literal(true), z.enum(['pty', 'midi'])]) });

export const ProcessorPort = z.union([SerialPort, MidiPort, VirtualPort], {
  error: 'a port is {serial: /dev/serial/by-id/…}, {midi: "NAME"}, or {virtual: true | pty | midi}',
});
export type ProcessorPort = z.infer<typeof ProcessorPort>;

export const ProcessorConfig = z.strictObject({
  profile: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/),
  insert: LocalName.optional(),
  patchbay: z.literal(true).optional().meta({
    description: 'stands between channels and inserts instead of on one; its routes are derived from the chains',
  }),
  port: ProcessorPort,
  vars: z
    .record(z.string().regex(/^[a-z]{1,16}$/), z.int())
    .default({})
    .meta({ description: "the profile's vars as this unit has them, such as its MIDI channel" }),
  confirmed: z.literal(true).optional().meta({
    description: 'somebody has seen that this very unit is at this port: for models that nobody can ask who they are',
  }),
});
export type ProcessorConfig = z.infer<typeof ProcessorConfig>;

export const Limits = z.strictObject({
  maxFrames: z
    .int()
    .min(1)
    .default(96_000 * 3600 * 4),
  maxTailSeconds: z.number().min(0).default(60),
  maxChain: z.int().min(1).default(8),
  maxRecipients: z.int().min(1).max(20).default(10),
  queue: z.int().min(1).default(1000),
  queuePerDispatcher: z.int().min(1).default(500),
  queuePerTenant: z.int().min(1).default(200),
  unacknowledgedPerDispatcher: z.int().min(1).default(20_000),
  spoolBytes: z
    .int()
    .min(1)
    .default(200 * 2 ** 30),
  ballastBytes: z
    .int()
    .min(0)
    .default(4 * 2 ** 20)
    .meta({ description: 'kept on the disk, released when it is full' }),
});
export type Limits = z.infer<typeof Limits>;

export const Isolation = z.strictObject({
  floorDbfs: z.number().max(0).default(-100).meta({ description: 'what may reach another tenant at most' }),
  quietDbfs: z.number().max(0).default(-90).meta({ description: 'a flushed return is heard to be below this, RMS' }),
  crosstalk: z
    .array(z.strictObject({ from: LocalName, to: LocalName, db: z.number().max(0) }))
    .default([])
    .meta({
      description: 'measured crosstalk; a pair that is not listed is not measured and is never shared between tenants',
    }),
  patchbays: z
    .array(z.strictObject({ patchbay: LocalName, db: z.number().max(0) }))
    .optional()
    .meta({
      description:
        'measured leakage of a patchbay: the most that one insert behind it hears of another, all ways together; inserts behind one that is not listed are never shared between tenants',
    }),
});
export type Isolation = z.infer<typeof Isolation>;

export const RigConfig = z.strictObject({
  rig: RigId,
  production: z.boolean().default(false),
  stateDir: FilePath,
  sockets: z.strictObject({ courier: FilePath, control: FilePath }),
  keys: z.strictObject({
    signing: FilePath,
    wrapping: z
      .union([FilePath, z.array(FilePath).min(1).max(4)])
      .meta({ description: 'the present key; after a rotation also the one before, while grants for it are open' }),
  }),
  journal: z.strictObject({ keyFile: FilePath.optional() }).default({}),
  trust: z.strictObject({ bundle: FilePath.optional(), roots: Roots }),
  clock: z.strictObject({ sync: z.enum(['timesyncd', 'unchecked']) }),
  interface: InterfaceConfig,
  inserts: z.record(LocalName, InsertConfig),
  processors: z.record(LocalName, ProcessorConfig),
  calibration: FilePath.optional().meta({
    description:
      'trims of the inserts, as they were measured; what the rig measures itself from then on is derived from it',
  }),
  alignment: z
    .strictObject({ fullScaleDbu: z.number().min(0).max(30) })
    .optional()
    .meta({
      description:
        'what a full-scale sine shall be at every insert, dBu: `outboard calibrate level` derives trims for it. Without it, levels are measured and nothing is trimmed',
    }),
  selfTest: z
    .strictObject({
      idleSeconds: z
        .number()
        .min(1)
        .max(30 * 86_400)
        .default(3600),
      everySeconds: z
        .number()
        .min(60)
        .max(365 * 86_400)
        .default(86_400),
    })
    .optional()
    .meta({
      description:
        'a short check of each insert by the rig itself: after so long without a job, and not more often than that',
    }),
  measurementLimits: FilePath.optional().meta({
    description: 'what measurements have to keep, per class, processor and insert; the built-in limits where absent',
  }),
  isolation: Isolation.prefault({}),
  limits: Limits.prefault({}),
});
export type RigConfig = z.infer<typeof RigConfig>;

export const TlsFiles = z.strictObject({ ca: FilePath, cert: FilePath, key: FilePath });
export type TlsFiles = z.infer<typeof TlsFiles>;

export const BrokerConfig = z.strictObject({ url: z.string().regex(/^mqtts:\/\/[^/]+$/), tls: TlsFiles });
export type BrokerConfig = z.infer<typeof BrokerConfig>;

export const StoreConfig = z.strictObject({
  url: z
    .string()
    .regex(/^https:\/\/[^/]+$/)
    .meta({ description: 'an origin; the digest is the path' }),
  tls: TlsFiles,
  minBytesPerSecond: z
    .int()
    .min(1)
    .default(64 * 1024),
  stallSeconds: z.number().positive().default(30),
});
export type StoreConfig = z.infer<typeof StoreConfig>;

export const CourierConfig = z.strictObject({ rig: RigId, socket: FilePath, broker: BrokerConfig, store: StoreConfig });
export type CourierConfig = z.infer<typeof CourierConfig>;

/** A trim that would have to be more is a wrong cable or a wrong reading. */
export const MAX_TRIM_DB = 24;
const TrimDb = z.array(z.number().min(-MAX_TRIM_DB).max(MAX_TRIM_DB)).min(1).max(8);
export const InsertTrims = z.strictObject({ sendTrimDb: TrimDb, returnTrimDb: TrimDb });
export type InsertTrims = z.infer<typeof InsertTrims>;

export const CalibrationVersion = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

/**
 * What calibration found of the inserts, in force for every take while the file is configured. Per channel of the insert, in order; digital gain,
 * before the converter and behind it, that brings every insert to the same level.
 */
export const CalibrationFile = z.strictObject({
  version: CalibrationVersion,
  inserts: z.record(LocalName, InsertTrims),
});
export type CalibrationFile = z.infer<typeof CalibrationFile>;

/** What the reference dispatcher needs; it plays the keeper and the tenant too, so it stays on a desk and off servers. */
export const ClientConfig = z.strictObject({
  rig: RigId,
  broker: BrokerConfig,
  store: StoreConfig,
  dispatcher: z.strictObject({ name: PartyName, key: FilePath }),
  keeper: z.strictObject({ name: PartyName, key: FilePath }),
  tenant: z.strictObject({ id: TenantId, identity: FilePath, recipients: z.array(Recipient).min(1) }),
  trust: z.strictObject({ bundle: FilePath, roots: Roots }),
});
export type ClientConfig = z.infer<typeof ClientConfig>;
