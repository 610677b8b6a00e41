/**
 * `npm run test:vm`: a whole Debian host under QEMU, with systemd, the kernel's sound card, MIDI and serial ports; outboard is installed there as
 * systemd/README.md says. One line for each check, and at the end `N passed, N failed`. Arguments choose checks by a part of their names.
 *
 *   OUTBOARD_VM_CACHE   where the built image is kept (default: ~/.cache/outboard-vm)
 *   OUTBOARD_VM_MIRROR  the Debian mirror that it is built from
 *   OUTBOARD_VM_LOGS    a folder for console and journal of the machine (default: a temporary one, removed when all is well)
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDisk } from './disk.js';
import { prepareTools } from './host-tools.js';
import { readyImage } from './image.js';
import { Machine } from './machine.js';
import { Progress } from './progress.js';
import { decode, type Report } from './report.js';

const UNAVAILABLE = 69; // EX_UNAVAILABLE of sysexits(3)
const EXPECTED_BOOT_SECONDS = 45;
/** From power on to the first word of the guest. */
const BOOT_LIMIT_MS = 5 * 60_000;
/** From power on to power off. */
const RUN_LIMIT_MS = 40 * 60_000;

class Run {
  readonly #progress: Progress;
  readonly #log: string[] = [];
  #planned: string[] = [];
  readonly #said = new Set<string>();
  #ended = false;
  passed = 0;
  failed = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  get begun(): boolean {
    return this.#planned.length > 0;
  }

  get log(): string {
    return this.#log.join('\n');
  }

  take(report: Report): void {
    if (report.kind === 'plan') {
      this.#planned = report.checks;
      this.#progress.end();
      this.#progress.counting('checking', report.checks.length, () => this.#said.size);
    } else if (report.kind === 'check') {
      this.#said.add(report.name);
      this.#count(report.ok, report.name, `${report.detail ? `${report.detail}, ` : ''}${report.seconds.toFixed(1)} s`);
    } else if (report.kind === 'info') this.#progress.line(`# ${report.text}`);
    else if (report.kind === 'log') this.#log.push(report.text);
    else this.#ended = true;
  }

  /** Whatever was not reached has failed. */
  finish(why: string): void {
    this.#progress.end();
    if (!this.begun) this.#count(false, 'the machine boots and begins its checks', why);
    for (const name of this.#planned) if (!this.#said.has(name)) this.#count(false, name, `not reached: ${why}`);
    if (this.begun && !this.#ended && this.failed === 0) this.#count(false, 'the guest comes to its end', why);
  }

  #count(ok: boolean, name: string, detail: string): void {
    if (ok) this.passed += 1;
    else this.failed += 1;
    const [first, ...more] = detail.split('\n');
    this.#progress.line(`${ok ? 'ok' : 'not ok'} ${this.passed + this.failed} - ${name} (${first})`);
    for (const line of more) this.#progress.line(`    ${line}`);
  }
}

async function main(): Promise<number> {
  const env = { ...process.env };
  const command = prepareTools(env);
  if (command !== null) {
    console.error(
      `The virtual machine is built and run by programs that are not here. Install them with\n\n  ${command}\n`,
    );
    return UNAVAILABLE;
  }
  const progress = new Progress();
  const run = new Run(progress);
  const work = mkdtempSync(join(tmpdir(), 'outboard-vm-'));
  const consoleFile = join(work, 'console.log');
  let machine: Machine | undefined;
  process.on('exit', () => machine?.off());
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      machine?.off();
      rmSync(work, { recursive: true, force: true });
      process.exit(130);
    });
  try {
    let why = 'the machine went off';
    try {
      const image = await readyImage(env, progress);
      progress.stage('writing outboard onto a disk', 15);
      const disk = await makeDisk(work, process.argv.slice(2));
      progress.stage('booting', EXPECTED_BOOT_SECONDS);
      const booted = new Machine({ image, disk, console: consoleFile, cable: join(work, 'cable') });
      machine = booted;
      const pull = (reason: string) => () => {
        why = reason;
        booted.off();
      };
      const bootLimit = setTimeout(() => {
        if (!run.begun) pull(`no word from the guest within ${BOOT_LIMIT_MS / 1000} s`)();
      }, BOOT_LIMIT_MS);
      const runLimit = setTimeout(pull(`not done within ${RUN_LIMIT_MS / 60_000} minutes`), RUN_LIMIT_MS);
      const complaint = await booted.run(env, (line) => {
        const report = decode(line);
        if (report) run.take(report);
      });
      clearTimeout(bootLimit);
      clearTimeout(runLimit);
      if (complaint) why = `${why}; QEMU: ${complaint}`;
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    run.finish(why);
    keepLogs(run, consoleFile);
    console.error(`${progress.totalSeconds.toFixed(0)} s in all`);
    console.log(`${run.passed} passed, ${run.failed} failed`);
    return run.failed > 0 || run.passed === 0 ? 1 : 0;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function keepLogs(run: Run, consoleFile: string): void {
  const asked = process.env['OUTBOARD_VM_LOGS'];
  if (!asked && run.failed === 0) return;
  const dir = asked ?? mkdtempSync(join(tmpdir(), 'outboard-vm-logs-'));
  mkdirSync(dir, { recursive: true });
  try {
    copyFileSync(consoleFile, join(dir, 'console.log'));
  } catch {
    // It did not come to a console.
  }
  writeFileSync(join(dir, 'journal.log'), run.log);
  console.error(`console and journal of the machine: ${dir}`);
}

process.exitCode = await main();
