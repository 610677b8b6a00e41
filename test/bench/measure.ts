/**
 * `npm run bench:measure [-- ROUNDS]`: THD+N over 2^20 samples (window, transform, powers, tone, residual) against the same with numpy.fft, turn by
 * turn in one run, with scipy.fft as the next goal; then every figure of a tone against an implementation in numpy that shares nothing with ours.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SpectrumAnalyzer } from '../../calibration/dsp/spectrum.js';
import { windowFor } from '../../calibration/dsp/windows.js';
import { thdnOf } from '../../calibration/measures/thdn.js';
import { toneMeasurements } from '../../calibration/measures/tone-measurements.js';
import { dithered, made, sine } from '../peers/known-signals.js';

const RATE = 48_000;
const HZ = 997;
const SIZE = 2 ** 20;
const GOAL = 1.2;
const AGREE_DB = 0.01;
/** Debian's: whatever else is called python3 may have other libraries. */
const PYTHON = '/usr/bin/python3';
const rounds = Number(process.argv[2] ?? 25);

try {
  execFileSync(PYTHON, ['-c', 'import numpy, scipy.fft'], { stdio: 'ignore' });
} catch {
  console.error(
    'numpy and scipy are not here: sudo apt-get install -y --no-install-recommends python3-numpy python3-scipy',
  );
  process.exit(69);
}

const word = dithered(24, 7);
const samples = made(RATE, SIZE, (t) =>
  word(0.89 * sine(HZ, t) + 3e-5 * sine(2 * HZ, t) + 1e-5 * sine(3 * HZ, t) + 2e-6 * sine(7 * HZ, t)),
);
const dir = mkdtempSync(join(tmpdir(), 'outboard-bench-'));
const file = join(dir, 'samples.f64');
writeFileSync(file, new Uint8Array(samples.buffer));
const script = fileURLToPath(new URL('../../../test/bench/measure.py', import.meta.url));

/** A process each: what the one does to the allocator must not help or hinder the other. */
class Python {
  readonly #child = spawn(PYTHON, [script, file, String(RATE)], { stdio: ['pipe', 'pipe', 'inherit'] });
  readonly #answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  async ask(what: string): Promise<Record<string, number>> {
    this.#child.stdin.write(`${what}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('python ended');
    return JSON.parse(value) as Record<string, number>;
  }

  end(): void {
    this.#child.stdin.end();
  }
}

const median = (of: number[]): number => of.sort((a, b) => a - b)[of.length >> 1]!;

const [numpyProcess, scipyProcess] = [new Python(), new Python()];
try {
  const analyzer = new SpectrumAnalyzer(windowFor(SIZE), RATE);
  const times = { ours: [] as number[], numpy: [] as number[], scipy: [] as number[], all: [] as number[] };
  let oursDb = 0;
  let numpyDb = 0;
  for (let round = -2; round < rounds; round++) {
    const begun = process.hrtime.bigint();
    const { power, residual } = thdnOf(analyzer.analyze(samples));
    const ours = Number(process.hrtime.bigint() - begun) / 1e6;
    oursDb = 10 * Math.log10(residual / (residual + power));
    const numpy = await numpyProcess.ask('numpy');
    const scipy = await scipyProcess.ask('scipy');
    numpyDb = numpy['thdnDb']!;
    // Compiled code and warm tables are what is compared.
    if (round < 0) continue;
    times.ours.push(ours);
    times.numpy.push(numpy['ms']!);
    times.scipy.push(scipy['ms']!);
  }
  for (let round = 0; round < 3; round++) {
    const begun = process.hrtime.bigint();
    toneMeasurements(samples, RATE);
    times.all.push(Number(process.hrtime.bigint() - begun) / 1e6);
  }
  const [ours, numpy, scipy, all] = [median(times.ours), median(times.numpy), median(times.scipy), median(times.all)];
  console.log(`THD+N over 2^20 samples, medians of ${rounds} turns:`);
  console.log(`  ours   ${ours.toFixed(1)} ms   ${oursDb.toFixed(4)} dB`);
  console.log(`  numpy  ${numpy.toFixed(1)} ms   ${numpyDb.toFixed(4)} dB`);
  console.log(`  scipy  ${scipy.toFixed(1)} ms`);
  console.log(
    `  ours / numpy ${(ours / numpy).toFixed(2)} (goal ${GOAL}), ours / scipy ${(ours / scipy).toFixed(2)} (the next goal)`,
  );
  console.log(`  every measurement of the tone, with checks, fit and weightings: ${all.toFixed(0)} ms`);
  const theirs = await numpyProcess.ask(`figures ${HZ}`);
  const found = toneMeasurements(samples, RATE);
  let worst = 0;
  for (const [name, value] of Object.entries(theirs)) {
    const own = found.find((one) => one.name === name)!.value!;
    worst = Math.max(worst, Math.abs(own - value));
    console.log(`  ${name.padEnd(18)} ours ${own.toFixed(5)}  numpy ${value.toFixed(5)}`);
  }
  console.log(`  largest difference ${worst.toExponential(1)} dB (must be below ${AGREE_DB})`);
  console.log(JSON.stringify({ ours, numpy, scipy, ratio: ours / numpy, worstDb: worst }));
  if (worst > AGREE_DB || Math.abs(oursDb - numpyDb) > AGREE_DB) process.exitCode = 1;
} finally {
  numpyProcess.end();
  scipyProcess.end();
  rmSync(dir, { recursive: true, force: true });
}
