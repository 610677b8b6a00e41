/**
 * Maintenance on the kernel's sound card: the whole suite over the digital loop, whose figures are those of 24 bits, and the card given up to another
 * program and taken back.
 */
import { CalibrationRun, type Measurement } from '../../../core/contract/index.js';
import { attempt, expect, until } from './shell.js';
import { CARD, CONTROL, mode, outboard, STUDIO } from './site.js';

const SIGNED = ['--socket', CONTROL, '--key', `${STUDIO}/technician/key.jwk`];

function value({ measurements }: CalibrationRun, name: string, is: (m: Measurement) => boolean = () => true): number {
  const found = measurements.find((m) => m.name === name && is(m));
  expect(found !== undefined, `no ${name}`);
  // Digital silence has no level in decibels.
  return found.value ?? Number.NEGATIVE_INFINITY;
}

async function maintenance(action: 'enter' | 'exit' | 'release', reason: string): Promise<void> {
  await outboard('maintenance', action, ...SIGNED, '--reason', reason, ...(action === 'enter' ? ['--for', '900'] : []));
}

export async function expectCalibrated(): Promise<string> {
  await maintenance('enter', 'the suite on this card');
  await mode('maintenance', 120);
  try {
    const said = await outboard('calibrate', 'suite', '--insert', 'a', ...SIGNED, '--reason', 'the suite', '--json');
    const run = CalibrationRun.parse((JSON.parse(said) as { document: unknown }).document);
    const refused = run.measurements.filter(({ valid }) => !valid);
    expect(refused.length === 0, refused.map(({ name, refusal }) => `${name}: ${refusal?.message}`).join(', '));
    const loud = (m: Measurement) => m.conditions['level_dbfs'] === -1;
    const figures = {
      level: value(run, 'level_dbfs', loud),
      thdn: value(run, 'thdn_re_total_db', loud),
      noise: value(run, 'noise_20_20k_dbfs'),
      latency: value(run, 'latency_samples'),
      spread: value(run, 'latency_spread_samples'),
      response: value(run, 'fr_deviation_db'),
      crosstalk: value(run, 'crosstalk_selective_db'),
    };
    const text = JSON.stringify(figures);
    expect(Math.abs(figures.level + 1) < 0.001, `level: ${text}`);
    expect(figures.thdn < -138, `THD+N: ${text}`);
    expect(figures.noise < -138, `noise: ${text}`);
    expect(Math.abs(figures.latency) < 0.02 && figures.spread < 0.01, `latency: ${text}`);
    expect(figures.response < 0.01, `response: ${text}`);
    expect(figures.crosstalk < -140, `crosstalk: ${text}`);
    return `${run.measurements.length} measurements, ${run.analogSeconds.toFixed(1)} s of signals; ${text}`;
  } finally {
    await maintenance('exit', 'the suite is done');
    await mode('ready', 120);
  }
}

/** Others get the card while it is released, and the rig has it back when that is over. */
export async function expectReleased(): Promise<string> {
  const play = ['-D', `hw:CARD=${CARD},DEV=0`, '-f', 'S32_LE', '-r', '48000', '-c', '2', '-d', '1', '/dev/zero'];
  await maintenance('enter', 'another program measures');
  await mode('maintenance', 120);
  await maintenance('release', 'another program measures');
  await mode('released', 120);
  const open = await attempt('aplay', ...play);
  expect(open.code === 0, `aplay while released: ${open.said}`);
  await maintenance('exit', 'it has measured');
  await mode('ready', 120);
  return await until('the card is held again', 60, async () => {
    const again = await attempt('aplay', ...play);
    return again.code === 0 ? null : `aplay plays while released; afterwards: ${again.said.split('\n').at(-1)}`;
  });
}
