/** `outboard analyze` on files whose figures are known, and on files that are no good. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { KINDS } from '../../../daemon/cli/analyze-kinds.js';
import { chunk, fmt, riff } from '../../drivers/audio/wav-files.js';
import { gaussian, near, sine, uniform } from '../../peers/known-signals.js';
import { scratch } from '../../peers/scratch.js';
import { writeSignal } from '../../peers/signals.js';
import { lastObject, outboard } from './run-cli.js';

const RATE = 48_000;

async function file(
  dir: string,
  name: string,
  seconds: number,
  sample: (t: number, channel: number) => number,
  o: { channels?: number; rate?: number; bits?: 16 | 24 | 32 } = {},
): Promise<string> {
  const { channels = 1, rate = RATE, bits = 24 } = o;
  const frames = Math.round(seconds * rate);
  return writeSignal(join(dir, name), { rate, channels, bits, frames, sample: (n, c) => sample(n / rate, c) });
}

async function analyzed(...args: string[]) {
  const ended = await outboard('analyze', ...args, '--json');
  // biome-ignore lint/suspicious/noExplicitAny: a test looks at whatever is there
  return { code: ended.code, found: lastObject(ended) as any };
}

test('a tone with two harmonics: flat keys, volts, and a channel each', async (t) => {
  const dir = await scratch(t);
  const tone = (x: number) => 0.5 * sine(997, x) + 5e-4 * sine(1994, x) + 1e-4 * sine(2991, x);
  const stereo = await file(dir, 'tone.wav', 3, (x, c) => (c === 0 ? 1 : 0.5) * tone(x), { channels: 2 });
  const { code, found } = await analyzed('tone', stereo, '--full-scale-dbu', '24');
  assert.equal(code, 0);
  near(found.frequency_hz, 997, 1e-4);
  near(found.level_dbfs, -6.0206, 1e-4);
  near(found.level_dbu, 17.9794, 1e-4);
  near(found.level_vrms, Math.sqrt(0.6) * 10 ** (17.9794 / 20), 1e-3);
  near(found.h2_dbc, -60, 0.01);
  near(found.h3_dbc, -73.979, 0.02);
  near(found.thd_f_percent, 0.10198, 1e-4);
  assert.equal(found.valid, true);
  assert.equal('refusal' in found, false);
  assert.deepEqual(
    found.channels.map((one: { channel: number }) => one.channel),
    [1, 2],
  );
  near(found.channels[1].level_dbfs, -12.0412, 1e-4);
  const second = await analyzed('tone', stereo, '--channel', '2');
  near(second.found.level_dbfs, -12.0412, 1e-4);
  const definitions = new Set(found.measurements.map((m: { definition: string }) => m.definition));
  assert.ok(definitions.has('thdn.aes17/1'), 'every number has its definition');
});

test('every kind gives its keys', async (t) => {
  const dir = await scratch(t);
  const random = gaussian(1);
  const noise = uniform(4);
  const make = (name: string, seconds: number, sample: (t: number, c: number) => number, channels = 1) =>
    file(dir, name, seconds, sample, { channels });
  const sweepOf = (x: number) => 0.5 * sine(1, 20 * 0.6 * (Math.exp(x / 0.6) - 1));
  // As long as the stimulus: the end of what comes back is cut off.
  const path = (x: number) => (x < 64 / RATE ? 0 : -0.5 * sweepOf(x - 64 / RATE));
  const files: Record<(typeof KINDS)[number], string[]> = {
    tone: [await make('1.wav', 1, (x) => 0.5 * sine(997, x))],
    noise: [await make('2.wav', 2, () => 1e-3 * random())],
    'dynamic-range': [await make('3.wav', 2, (x) => 1e-3 * sine(997, x) + 1e-5 * random())],
    smpte: [await make('4.wav', 2, (x) => 0.4 * sine(60, x) + 0.1 * sine(7000, x) + 1e-3 * sine(7060, x))],
    dfd: [await make('5.wav', 2, (x) => 0.3 * sine(19_000, x) + 0.3 * sine(20_000, x) + 1e-3 * sine(1000, x))],
    response: [await make('6.wav', 4, sweepOf), await make('7.wav', 4, path)],
    crosstalk: [await make('8.wav', 1, (x, c) => (c === 0 ? 0.5 : 5e-5) * sine(1000, x), 2)],
    'wow-flutter': [await make('9.wav', 8, (x) => 0.5 * sine(3150 * 1.01, x))],
    mains: [await make('10.wav', 3, (x) => 1e-3 * sine(60, x) + 1e-6 * noise())],
    loudness: [await make('11.wav', 4, (x) => 10 ** (-23 / 20) * sine(997, x), 2)],
  };
  const wanted: Record<(typeof KINDS)[number], Record<string, [number, number]>> = {
    tone: { thdn_re_total_db: [-137, 5], snr_20_20k_db: [137, 5], dc: [0, 1e-6] },
    noise: { noise_20_20k_dbfs: [-57.786, 0.15], noise_a_dbfs: [-59.834, 0.15], noise_ccirrms_dbfs: [-56.115, 0.15] },
    'dynamic-range': { dynamic_range_20_20k_db: [97.95, 0.2], dynamic_range_a_db: [100.05, 0.2] },
    smpte: { iec_mod_d2_db: [-40, 0.01], imd_smpte_db: [-40, 0.01], imd_smpte_percent: [1, 0.01] },
    dfd: { dfd_d2_db: [-55.563, 0.01], dfd_d2_re_f2_db: [-49.542, 0.01] },
    response: { latency_samples: [64, 0.01], loop_gain_db: [-6.0206, 0.01] },
    crosstalk: { crosstalk_selective_db: [-80, 0.1], crosstalk_broadband_db: [-80, 0.5] },
    'wow-flutter': {
      speed_error_percent: [1, 1e-4],
      weighted_peak2s_percent: [0, 1e-3],
      weighted_rms_percent: [0, 1e-3],
    },
    mains: { mains_hz: [60, 0], hum_total_dbfs: [-60, 0.02] },
    loudness: { integrated_lufs: [-23, 0.1], true_peak_dbtp: [-23, 0.1] },
  };
  for (const kind of KINDS) {
    const { code, found } = await analyzed(kind, ...files[kind], '--at', '100', '1000,10000');
    assert.equal(code, 0, JSON.stringify(found));
    for (const [name, [value, tolerance]] of Object.entries(wanted[kind]))
      near(found[name], value, tolerance, `${kind} ${name}`);
    if (kind === 'response') {
      assert.equal(found.polarity_inverted, true);
      assert.deepEqual(Object.keys(found.fr_db), ['100', '1000', '10000']);
      near(found.fr_db['10000'], -6.0206, 0.01);
    }
    if (kind === 'mains') assert.equal(found.hum_dbfs.length, 5);
  }
});

test('what is no good is refused with its reason and status 65, and gives no number', async (t) => {
  const dir = await scratch(t);
  const tone = (x: number) => 0.5 * sine(997, x);
  const rows: [string, string, string][] = [
    ['tone', await file(dir, 'clip.wav', 1, (x) => Math.max(-1, Math.min(1, 3 * tone(x)))), 'clipped'],
    [
      'tone',
      await file(dir, 'clip16.wav', 1, (x) => Math.max(-1, Math.min(0.99997, 3 * tone(x))), { bits: 16 }),
      'clipped',
    ],
    ['tone', await file(dir, 'silence.wav', 1, () => 0), 'no-tone'],
    ['noise', join(dir, 'silence.wav'), 'silent'],
    ['tone', await file(dir, 'gap.wav', 1, (x) => (x > 0.5 && x < 0.51 ? 0 : tone(x))), 'gap'],
    ['tone', await file(dir, 'drop.wav', 1, (x) => tone(x < 0.5 ? x : x + 0.0123)), 'gap'],
    ['tone', await file(dir, 'short.wav', 0.01, tone), 'too-short'],
    ['wow-flutter', await file(dir, 'three.wav', 3, (x) => 0.5 * sine(3150, x)), 'too-short'],
    ['dfd', join(dir, 'short.wav'), 'too-short'],
    ['smpte', await file(dir, 'tone.wav', 2, tone), 'no-tone'],
  ];
  for (const [kind, wav, reason] of rows) {
    const { code, found } = await analyzed(kind, wav);
    assert.equal(found.refusal, reason, `${kind} ${wav}: ${found.refusal_message}`);
    assert.equal(found.valid, false);
    assert.equal(found.ok, false);
    assert.equal(code, 65);
    assert.ok(found.measurements.every(({ value }: { value: number | null }) => value === null));
  }
  assert.equal((await analyzed('tone', join(dir, 'tone.wav'), '--expect-hz', '1000')).found.refusal, 'unlocked');
  assert.equal((await analyzed('tone', join(dir, 'tone.wav'), '--expect-hz', '440')).found.refusal, 'no-tone');
});

test('what is no WAV, or not the right one, is an error with its code', async (t) => {
  const dir = await scratch(t);
  const tone = await file(dir, 'tone.wav', 0.5, (x) => 0.5 * sine(997, x));
  const slow = await file(dir, 'slow.wav', 0.5, (x) => 0.5 * sine(997, x), { rate: 44_100 });
  const bytes = await readFile(tone);
  const put = async (name: string, content: Uint8Array) => {
    await writeFile(join(dir, name), content);
    return join(dir, name);
  };
  const nan = new Float32Array(4800).fill(0.1);
  nan[77] = Number.NaN;
  const floats = riff([fmt({ tag: 3, channels: 1, rate: RATE, bits: 32 }), chunk('data', new Uint8Array(nan.buffer))]);
  const rows: [string, string[], number][] = [
    ['wav.malformed', ['tone', await put('text.wav', Buffer.from('this is no sound'))], 65],
    ['wav.malformed', ['tone', await put('empty.wav', new Uint8Array())], 65],
    ['wav.truncated', ['tone', await put('half.wav', bytes.subarray(0, bytes.length / 2))], 65],
    ['wav.malformed', ['tone', await put('nan.wav', floats)], 65],
    ['analyze.channels', ['crosstalk', tone], 65],
    ['analyze.channels', ['tone', tone, '--channel', '2'], 65],
    ['analyze.rate', ['response', tone, slow], 65],
    ['usage', ['response', tone], 64],
    ['usage', ['loudest', tone], 64],
    ['usage', ['tone', tone, '--full-scale-dbu', 'much'], 64],
    ['usage', ['smpte', tone, '--tones', '7000,60'], 64],
    ['file.unreadable', ['tone', join(dir, 'nowhere.wav')], 66],
  ];
  for (const [code, args, status] of rows) {
    const ended = await analyzed(...args);
    assert.equal(ended.found.error?.code, code, `${args.join(' ')}: ${JSON.stringify(ended.found)}`);
    assert.equal(ended.code, status);
  }
});

test('for people: a table with units and definitions, and the reason of a refusal', async (t) => {
  const dir = await scratch(t);
  const ended = await outboard('analyze', 'tone', await file(dir, 'tone.wav', 1, (x) => 0.5 * sine(997, x)));
  assert.match(ended.stdout, /level_dbfs +-6\.0206 dBFS +level\.aes17\/1 +selective +full-scale sine/);
  const refused = await outboard('analyze', 'tone', await file(dir, 'silence.wav', 1, () => 0));
  assert.match(refused.stdout, /refused, no-tone/);
  assert.equal(refused.code, 65);
});
