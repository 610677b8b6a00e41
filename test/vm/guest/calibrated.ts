/**
 * Maintenance on the kernel's sound card: all measurements of the suite over the digital loop, whose figures are those of 24 bits, and the card given up to another
 * program and taken back.
 */
import { CalibrationRun, type Measurement } from '../../../core/contract/index.js';
import { attempt, expect, until } from './shell.js';
import { CARD, CLI, CONTROL, mode, outboard, STUDIO } from './site.js';

const SIGNED = ['--socket', CONTROL, '--key', `${STUDIO}/technician/key.jwk`];

/** The parts of the suite, one by one: an emulated processor loses its stream now and then, and a part is sooner made again than the whole. */
const PARTS = ['latency', 'thd', 'snr', 'noise', 'response', 'crosstalk', 'imd', 'headroom'] as const;
const TRIES = 5;

async function maintenance(action: 'enter' | 'exit' | 'release', reason: string): Promise<void> {
  await outboard(
    'maintenance',
    action,
    ...SIGNED,
    '--reason',
    reason,
    ...(action === 'enter' ? ['--for', '1800'] : []),
  );
}

/** One part, until it comes to its end; a limit that is not kept is the check's own business. */
async function measured(kind: (typeof PARTS)[number]): Promise<{ run: CalibrationRun; tries: number }> {
  for (let tries = 1; ; tries++) {
    await mode('maintenance', 180);
    const asked = ['calibrate', kind, '--insert', 'a', ...SIGNED, '--reason', 'the suite', '--json'];
    const { code, stdout, said } = await attempt('/usr/bin/node', CLI, ...asked);
    if (code === 0 || code === 1)
      return { run: CalibrationRun.parse((JSON.parse(stdout) as { document: unknown }).document), tries };
    expect(tries < TRIES, `${kind}, ${tries} times: ${said}`);
  }
}

export async function expectCalibrated(): Promise<string> {
  await maintenance('enter', 'the suite on this card');
  try {
    const measurements: Measurement[] = [];
    let seconds = 0;
    let again = 0;
    for (const kind of PARTS) {
      const { run, tries } = await measured(kind);
      measurements.push(...run.measurements);
      seconds += run.analogSeconds;
      again += tries - 1;
    }
    const refused = measurements.filter(({ valid }) => !valid);
    expect(refused.length === 0, refused.map(({ name, refusal }) => `${name}: ${refusal?.message}`).join(', '));
    const value = (name: string, is: (m: Measurement) => boolean = () => true): number => {
      const found = measurements.find((m) => m.name === name && is(m));
      expect(found !== undefined, `no ${name}`);
      // Digital silence has no level in decibels.
      return found.value ?? Number.NEGATIVE_INFINITY;
    };
    const loud = (m: Measurement) => m.conditions['level_dbfs'] === -1;
    const figures = {
      level: value('level_dbfs', loud),
      thdn: value('thdn_re_total_db', loud),
      noise: value('noise_20_20k_dbfs'),
      latency: value('latency_samples'),
      spread: value('latency_spread_samples'),
      response: value('fr_deviation_db'),
      crosstalk: value('crosstalk_selective_db'),
    };
    const text = Object.entries(figures)
      .map(([name, figure]) => `${name} ${Number(figure.toPrecision(4))}`)
      .join(', ');
    expect(Math.abs(figures.level + 1) < 0.001, `level: ${text}`);
    expect(figures.thdn < -138, `THD+N: ${text}`);
    expect(figures.noise < -138, `noise: ${text}`);
    expect(Math.abs(figures.latency) < 0.02 && figures.spread < 0.01, `latency: ${text}`);
    expect(figures.response < 0.01, `response: ${text}`);
    expect(figures.crosstalk < -140, `crosstalk: ${text}`);
    return `${measurements.length} measurements, ${seconds.toFixed(0)} s of signals, ${again} parts made again; ${text}`;
  } finally {
    await maintenance('exit', 'the suite is done');
    await mode('ready', 180);
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
