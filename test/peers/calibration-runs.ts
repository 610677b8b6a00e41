/**
 * Runs of calibration as a rig writes them, for whoever keeps, judges or shows them: the figures of a good converter in a loop, or of a line
 * processor, with the scatter of real readings. The same seed gives the same run.
 */
import type { CalibrationKind, CalibrationRun, Measurement, Trace, UnjudgedRun } from '../../core/contract/index.js';

export interface RunOptions {
  /** Distinguishes the runs of one test: the same number gives the same run. */
  n: number;
  insert?: string;
  kind?: CalibrationKind;
  at?: number;
  channels?: number;
  /** Added to every gain. */
  loopGainDb?: number;
  /** Added to noise and distortion. */
  worseDb?: number;
  /** Of each return; null where nobody measured it. */
  fullScaleDbu?: number | null;
  processors?: UnjudgedRun['conditions']['processors'];
  /** Curves too: they are large. */
  traces?: boolean;
  /** Scatter of the readings, dB, standard deviation. */
  scatterDb?: number;
  virtual?: boolean;
}

export const EPOCH = Date.UTC(2026, 0, 5, 9) / 1000;
const DAY = 86_400;
export const DRIVEN = [20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_000] as const;

export function runId(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

/** A suite, or what one kind of it measures. */
export function calibrationRun(o: RunOptions): UnjudgedRun {
  const { n, insert = 'a', kind = 'suite', at = EPOCH + o.n * DAY, channels = 2 } = o;
  const fullScale = o.fullScaleDbu === undefined ? 22 : o.fullScaleDbu;
  const random = generator(n + 1);
  const figures = new Figures(o, random);
  const parts = PARTS.filter(([name]) => kind === 'suite' || kind === name);
  const each = Array.from({ length: channels }, () => fullScale);
  return {
    run: runId(n),
    rig: 'rig-01',
    virtual: o.virtual ?? true,
    insert,
    kind,
    technician: kind === 'self-test' ? null : 'technician.kim',
    reason: 'weekly check',
    startedAt: at,
    endedAt: at + 52,
    analogSeconds: 48.2,
    software: '0.1.0',
    conditions: {
      driver: 'virtual',
      device: { playback: 'virtual', capture: 'virtual' },
      rate: 48_000,
      channels,
      loopLatencyFrames: 64,
      ceilingDbfs: -1,
      calibration: '2026-01-05.1',
      fullScaleDbu: { send: each, return: each },
      processors: o.processors ?? [],
    },
    measurements: parts.flatMap(([, measure]) => measure(figures, channels)),
    traces: o.traces ? traces(channels, random, o) : [],
  };
}

/** Not yet judged by anything. */
export function unlimited(run: UnjudgedRun): CalibrationRun {
  return { ...run, limits: null, verdicts: [], drifts: [], passed: null };
}

class Figures {
  readonly #o: RunOptions;
  readonly #random: () => number;

  constructor(o: RunOptions, random: () => number) {
    this.#o = o;
    this.#random = random;
  }

  one(name: string, unit: string, value: number, more: Partial<Measurement> = {}): Measurement {
    const { loopGainDb = 0, worseDb = 0, scatterDb = 0.004 } = this.#o;
    const scatter = scatterDb * (this.#random() + this.#random() + this.#random() - 1.5) * 2;
    const shift = name === 'loop_gain_db' ? loopGainDb : /thd|noise|imd|dfd|crosstalk/.test(name) ? worseDb : 0;
    return {
      name,
      value: unit.startsWith('d') ? value + shift + scatter : value,
      unit,
      definition: `${name.split('_')[0]}.test/1`,
      band: [20, 20_000],
      detector: 'rms',
      reference: 'full-scale sine',
      samples: 262_144,
      conditions: {},
      valid: true,
      ...more,
    };
  }
}

type Part = (f: Figures, channels: number) => Measurement[];

const each =
  (measure: (f: Figures, channel: number) => Measurement[]): Part =>
  (f, channels) =>
    Array.from({ length: channels }, (_, index) => measure(f, index + 1)).flat();

const PARTS: readonly [CalibrationKind, Part][] = [
  [
    'level',
    (f, channels) => [
      ...each((g, channel) => {
        const at = { channel, conditions: { hz: 997, level_dbfs: -20 } };
        return [
          g.one('loop_gain_db', 'dB', 0.012 * channel, {
            ...at,
            definition: 'gain.loop/1',
            detector: 'fit',
            band: null,
          }),
          g.one('polarity_inverted', '', 0, {
            channel,
            definition: 'polarity.correlation/1',
            detector: 'fit',
            band: null,
          }),
        ];
      })(f, channels),
      ...(channels > 1
        ? [
            f.one('inter_channel_level_db', 'dB', 0.012, {
              conditions: { hz: 997 },
              definition: 'interchannel.level/1',
            }),
            f.one('inter_channel_phase_deg', 'degrees', 0.04, {
              conditions: { hz: 997 },
              definition: 'interchannel.phase/1',
            }),
          ]
        : []),
    ],
  ],
  [
    'thd',
    each((f, channel) => {
      const at = { channel, conditions: { hz: 997, level_dbfs: -1 } };
      return [
        f.one('frequency_hz', 'Hz', 997, { ...at, detector: 'fit', definition: 'frequency.ieee1057/1', band: null }),
        f.one('thd_f_db', 'dB', -112.4, {
          ...at,
          detector: 'selective',
          definition: 'thd-f/1',
          reference: 'fundamental',
        }),
        f.one('thdn_re_total_db', 'dB', -106.1, { ...at, definition: 'thdn.aes17/1', reference: 'total' }),
        f.one('h2_dbc', 'dBc', -114.2, {
          ...at,
          detector: 'selective',
          definition: 'harmonic/1',
          reference: 'fundamental',
        }),
        f.one('h3_dbc', 'dBc', -117.9, {
          ...at,
          detector: 'selective',
          definition: 'harmonic/1',
          reference: 'fundamental',
        }),
      ];
    }),
  ],
  [
    'snr',
    each((f, channel) => [
      f.one('dynamic_range_ccirrms_db', 'dB', 114.6, {
        channel,
        conditions: { hz: 997, level_dbfs: -60 },
        definition: 'dynamic-range.aes17/1',
      }),
    ]),
  ],
  [
    'noise',
    each((f, channel) => [
      f.one('noise_20_20k_dbfs', 'dBFS', -116.9, { channel, definition: 'noise.20-20k/1' }),
      f.one('noise_a_dbfs', 'dBFS', -119.1, { channel, definition: 'noise.a-weighted/1' }),
    ]),
  ],
  [
    'response',
    each((f, channel) => [
      f.one('fr_deviation_db', 'dB', -0.031, { channel, definition: 'response.sweep/1', reference: '1 kHz' }),
    ]),
  ],
  [
    'crosstalk',
    (f, channels) =>
      DRIVEN.flatMap((hz) =>
        Array.from({ length: channels }, (_, d) => d + 1).flatMap((driven) =>
          Array.from({ length: channels }, (_, u) => u + 1)
            .filter((undriven) => undriven !== driven)
            .map((undriven) =>
              f.one('crosstalk_selective_db', 'dB', -141 + 20 * Math.log10(Math.max(hz, 400) / 1000), {
                conditions: { driven, undriven, hz },
                definition: 'crosstalk.aes17-selective/1',
                detector: 'selective',
                reference: 'driven channel',
              }),
            ),
        ),
      ),
  ],
  [
    'latency',
    each((f, channel) => [
      f.one('latency_samples', 'samples', 0, {
        channel,
        detector: 'fit',
        definition: 'latency.correlation/1',
        band: null,
      }),
      f.one('latency_spread_samples', 'samples', 0, {
        channel,
        detector: 'fit',
        definition: 'latency.correlation/1',
        band: null,
      }),
    ]),
  ],
  [
    'imd',
    each((f, channel) => [
      f.one('imd_smpte_db', 'dB', -104.8, {
        channel,
        detector: 'selective',
        definition: 'imd.smpte-rp120/1',
        reference: 'f2',
      }),
      f.one('dfd_d2_db', 'dB', -118.3, {
        channel,
        detector: 'selective',
        definition: 'dfd.iec60268-3/1',
        reference: 'f1 + f2',
      }),
    ]),
  ],
  [
    'headroom',
    each((f, channel) => [
      f.one('max_level_dbfs', 'dBFS', -1.02, {
        channel,
        definition: 'max-level.aes17-thdn/1',
        conditions: { method: 'thdn-40' },
      }),
    ]),
  ],
];

function traces(channels: number, random: () => number, { worseDb = 0 }: RunOptions): Trace[] {
  const log = (from: number, to: number, points: number) =>
    Array.from({ length: points }, (_, n) => from * (to / from) ** (n / (points - 1)));
  const made: Trace[] = [];
  for (let channel = 1; channel <= channels; channel++) {
    const add = (
      name: Trace['name'],
      x: Trace['x'],
      y: Trace['y'],
      xs: number[],
      f: (x: number) => number | null,
      conditions: Trace['conditions'] = {},
    ) => made.push({ name, channel, definition: `${name}/1`, x, y, xs, ys: xs.map(f), conditions });
    const hz: Trace['x'] = { name: 'frequency', unit: 'Hz', scale: 'log' };
    const bins = log(10, 24_000, 1200);
    const harmonic = (f: number) => {
      const order = Math.round(f / 997);
      return order >= 1 && order <= 9 && Math.abs(f / 997 - order) < 0.004 ? order : 0;
    };
    const peaks = [0, -1, -115, -118, -128, -131, -136, -138, -140, -141];
    add(
      'spectrum',
      hz,
      { name: 'level', unit: 'dBFS' },
      [...bins, ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((k) => 997 * k)].sort((a, b) => a - b),
      (f) => (harmonic(f) ? peaks[harmonic(f)]! + worseDb : -152 + worseDb + 8 * random()),
      { hz: 997, level_dbfs: -1 },
    );
    add('noise-spectrum', hz, { name: 'noise density', unit: 'dBFS/√Hz' }, bins, (f) =>
      Math.abs(f - 50) < 0.4 ? -138 : -160 + worseDb + 6 / (1 + f / 60) + 1.5 * random(),
    );
    const third = log(20, 20_000, 91);
    add('response', hz, { name: 'gain', unit: 'dB' }, third, (f) => -0.03 * (f / 20_000) ** 2 - 0.008 * (20 / f) ** 2);
    add(
      'phase',
      hz,
      { name: 'phase', unit: '°' },
      third,
      (f) => (Math.atan(1.2 / f) - Math.atan(f / 400_000)) * (180 / Math.PI),
    );
    add(
      'thd-frequency',
      hz,
      { name: 'THD', unit: 'dB' },
      log(20, 10_000, 24),
      (f) => -113 + worseDb + 6 * (f / 10_000) ** 0.6,
    );
    const dbfs: Trace['x'] = { name: 'level', unit: 'dBFS', scale: 'linear' };
    add(
      'thd-level',
      dbfs,
      { name: 'THD+N', unit: 'dB' },
      linear(-60, -1, 24),
      (level) => -115.5 + worseDb - level * 0.97,
    );
    add(
      'linearity',
      dbfs,
      { name: 'deviation', unit: 'dB' },
      linear(-110, -5, 22),
      (level) => 0.3 * random() * 10 ** ((-level - 110) / 20),
    );
    add('headroom', dbfs, { name: 'THD+N', unit: 'dB' }, linear(-12, -1, 12), (level) => (level > -1.5 ? -60 : -106));
    add(
      'crosstalk',
      hz,
      { name: 'crosstalk', unit: 'dB' },
      [...DRIVEN],
      (f) => -141 + 20 * Math.log10(Math.max(f, 400) / 1000),
      {
        driven: channel,
        undriven: (channel % channels) + 1,
      },
    );
  }
  return made;
}

function linear(from: number, to: number, points: number): number[] {
  return Array.from({ length: points }, (_, n) => from + ((to - from) * n) / (points - 1));
}

/** mulberry32: small, and good enough for scatter. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
