/**
 * Runs of calibration as a rig writes them, for whoever keeps, judges or shows them: the figures of a good converter in a loop, or of a line
 * processor, with the scatter of real readings. The same seed gives the same run.
 */
import { measured, type Values } from '../../calibration/measures/measurement.js';
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

  /** Measurements of one capture; decibels scatter. */
  of(values: Values, channel: number | undefined, conditions: Measurement['conditions'] = {}): Measurement[] {
    const basis = { samples: 262_144, conditions, ...(channel !== undefined && { channel }) };
    return measured(values, basis).map((m) =>
      m.unit.startsWith('dB') ? { ...m, value: m.value! + this.#shift(m.name) } : m,
    );
  }

  #shift(name: string): number {
    const { loopGainDb = 0, worseDb = 0, scatterDb = 0.004 } = this.#o;
    const scatter = scatterDb * (this.#random() + this.#random() + this.#random() - 1.5) * 2;
    if (name === 'loop_gain_db') return loopGainDb + scatter;
    return /thd|noise|imd|dfd|crosstalk/.test(name) ? worseDb + scatter : scatter;
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
      ...each((g, channel) => [
        ...g.of({ loop_gain_db: 0.012 * channel }, channel, { hz: 997, level_dbfs: -20 }),
        ...g.of({ polarity_inverted: 0 }, channel),
      ])(f, channels),
      ...(channels > 1 ? f.of({ inter_channel_level_db: 0.012, inter_channel_phase_deg: 0.04 }, 2, { hz: 1000 }) : []),
    ],
  ],
  [
    'thd',
    each((f, channel) =>
      f.of({ frequency_hz: 997, thd_f_db: -112.4, thdn_re_total_db: -106.1, h2_dbc: -114.2, h3_dbc: -117.9 }, channel, {
        hz: 997,
        level_dbfs: -1,
      }),
    ),
  ],
  ['snr', each((f, channel) => f.of({ dynamic_range_ccirrms_db: 114.6 }, channel, { hz: 997, level_dbfs: -60 }))],
  ['noise', each((f, channel) => f.of({ noise_20_20k_dbfs: -116.9, noise_a_dbfs: -119.1 }, channel))],
  ['response', each((f, channel) => f.of({ fr_deviation_db: -0.031 }, channel))],
  [
    'crosstalk',
    (f, channels) =>
      DRIVEN.flatMap((hz) =>
        pairs(channels).flatMap(([driven, undriven]) =>
          f.of({ crosstalk_selective_db: leak(hz) }, undefined, { driven, undriven, hz }),
        ),
      ),
  ],
  [
    'latency',
    each((f, channel) =>
      f.of({ latency_samples: 0, latency_difference_samples: 0, latency_spread_samples: 0 }, channel),
    ),
  ],
  ['imd', each((f, channel) => f.of({ imd_smpte_db: -104.8, dfd_d2_db: -118.3 }, channel))],
  ['headroom', each((f, channel) => f.of({ max_level_dbfs: -1.02 }, channel))],
];

/** A capacitive leak above some resistive one. */
function leak(hz: number): number {
  return -141 + 20 * Math.log10(Math.max(hz, 400) / 1000);
}

function pairs(channels: number): [driven: number, undriven: number][] {
  const all = Array.from({ length: channels }, (_, index) => index + 1);
  return all.flatMap((driven) =>
    all.filter((undriven) => undriven !== driven).map((undriven): [number, number] => [driven, undriven]),
  );
}

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
    add('crosstalk', hz, { name: 'crosstalk', unit: 'dB' }, [...DRIVEN], leak, {
      driven: channel,
      undriven: (channel % channels) + 1,
    });
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
