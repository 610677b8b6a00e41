/**
 * `npm run bench:recall [-- ROUNDS]`: how long the recall of 40 parameters with read-back takes over a serial line (a kernel pty with a program in
 * C at its other end, at the pace of the baud rate), against what its bytes alone take on that line; then sixteen units at once against one of
 * the slowest alone. Beside each recall the same bytes are exchanged by a bare program in C: what that takes over the limit is the host's. The
 * medians are judged: exit code 1 above a goal.
 */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ProcessorUnit } from '../../drivers/processors/processor-unit.js';
import { parseProfile } from '../../drivers/processors/profile.js';
import { createSerialTransport } from '../../drivers/processors/serial-transport.js';
import { createUnit } from '../../drivers/processors/unit.js';

const PARAMETERS = 40;
const UNITS = 16;
const GOAL = 1.15;
/** No longer than the slowest of them, but for what a host's clock is unsure of. */
const TOGETHER_GOAL = 1.02;
/** 8N1. */
const BITS_PER_BYTE = 10;
const rounds = Number(process.argv[2] ?? 15);

/** The commands of a matrix with ASCII over RS-232, without any pause of its own: the wire is the only limit. */
const profileAt = (baud: number): string => String.raw`
schema: outboard.profile/1
id: bench.matrix
version: 0.1.0
device: {make: Bench, model: 40 gains, class: [matrix]}
transport: {kind: serial, baud: ${baud}, format: 8N1, flow: none}
framing: {kind: line, txEnd: "", rxEnd: "\r\n", rxMax: 160, rxGapMs: 5000, encoding: latin1, echo: none}
pacing: {gapMs: 0, replyMs: 30000, quietMs: 10, maxInFlight: 1, retries: 2}
identity: {strength: model, steps: [{tx: N, rx: '^(?<part>60-\d{3}-\d{2})$', must: {part: 60-330-16}}]}
axes: {in: {from: 1, to: ${PARAMETERS}}}
params:
  gain: {kind: number, unit: dB, min: -18, max: 24, step: 1, axis: [in], taper: {t: linear},
    wire: {enc: ascii, tx: "{in}*{w}G", txNeg: "{in}*{abs}g", ack: "In{in:02} Aud{w:+03}"},
    read: {tx: "{in}G", reply: "{w:+03}"}, verify: {by: readback}}
order: ["*"]
safe: {state: {}, settleMs: 0, onLinkLoss: operator}
sim: {replyMs: [0, 0], identity: [60-330-16], errors: {}}
vectors: [{set: {gain@in=7: -9}, tx: 7*9g, rx: In07 Aud-09}]
`;

const units: ProcessorUnit[] = [];
const farEnds: FarEnd[] = [];

interface Programs {
  farEnd: string;
  bare: string;
}

/** The programs at the ends of the lines, compiled into `dir`. */
async function compiled(name: string, dir: string): Promise<string> {
  const program = join(dir, name);
  const source = fileURLToPath(new URL(`../../../test/bench/${name}.c`, import.meta.url));
  await promisify(execFile)('cc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
  return program;
}

interface Counted {
  /** In both directions, of all lines so far. */
  bytes: number;
  /** How much later than the lines would have it the answers left, in sum: time that the host took from the far end. */
  lateMs: number;
}

/** The units, in a process of their own; a line for each of `bauds`. */
class FarEnd {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #said: AsyncIterator<string>;

  constructor(program: string, bauds: readonly number[]) {
    this.#process = spawn(program, bauds.map(String));
    this.#process.stderr.pipe(process.stderr);
    this.#said = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    farEnds.push(this);
  }

  async line(): Promise<string> {
    const { value, done } = await this.#said.next();
    if (done === true) throw new Error('the far end is gone');
    return value;
  }

  async counted(): Promise<Counted> {
    this.#process.stdin.write('?');
    const [bytes, lateMs] = (await this.line()).split(' ').map(Number) as [number, number];
    return { bytes, lateMs };
  }

  end(): void {
    this.#process.stdin.end();
  }
}

async function unitAt(path: string, baud: number): Promise<ProcessorUnit> {
  const profile = parseProfile(profileAt(baud), 'bench');
  const transport = createSerialTransport({ path, baud, format: '8N1', flow: 'none' });
  const unit = createUnit({ name: path, profile, transport });
  units.push(unit);
  await unit.start(new AbortController().signal);
  if (unit.state !== 'ready') throw unit.lastFault ?? new Error(`${path} is ${unit.state}`);
  return unit;
}

/** Other values in each round. */
function values(round: number): number[] {
  return Array.from({ length: PARAMETERS }, (_, i) => ((i * 7 + round * 11) % 43) - 18);
}

/** Milliseconds of one recall of other values than those before. */
async function recalled(unit: ProcessorUnit, round: number): Promise<number> {
  const wanted = values(round).map((value, i) => [`gain@in=${i + 1}`, value]);
  const began = performance.now();
  const settings = await unit.recall(Object.fromEntries(wanted));
  const tookMs = performance.now() - began;
  if (settings.length !== PARAMETERS || settings.some(({ state }) => state !== 'verified'))
    throw new Error('unverified');
  return tookMs;
}

/** Milliseconds that the bytes of the same recall take without a driver. */
async function exchanged(program: string, path: string, round: number): Promise<number> {
  const sets = values(round).map((value, i) => `${i + 1}*${Math.abs(value)}${value < 0 ? 'g' : 'G'}`);
  const reads = sets.map((_, i) => `${i + 1}G`);
  const running = promisify(execFile)(program, [path]);
  running.child.stdin?.end([...sets, ...reads].join('\n'));
  return Number((await running).stdout);
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

interface Ratios {
  median: number;
  best: number;
}

function ratiosOf(values: number[]): Ratios {
  return { median: Number(median(values).toFixed(3)), best: Number(Math.min(...values).toFixed(3)) };
}

/** Ratios to the wire's own limit, of a recall and of its bytes alone, round by round. What the far end was late counts for neither. */
async function againstTheWire(programs: Programs, baud: number): Promise<{ recall: Ratios; bare: Ratios }> {
  const far = new FarEnd(programs.farEnd, [baud, baud]);
  const unit = await unitAt(await far.line(), baud);
  const bareLine = await far.line();
  const overLimit = async (work: () => Promise<number>) => {
    const before = await far.counted();
    const wholeMs = await work();
    const after = await far.counted();
    const lateMs = after.lateMs - before.lateMs;
    const limitMs = ((after.bytes - before.bytes) * BITS_PER_BYTE * 1000) / baud;
    return { tookMs: wholeMs - lateMs, lateMs, limitMs, ratio: (wholeMs - lateMs) / limitMs };
  };
  await recalled(unit, 0);
  const ratios: { recall: number; bare: number }[] = [];
  for (let round = 1; round <= rounds; round++) {
    const bare = await overLimit(() => exchanged(programs.bare, bareLine, round));
    const recall = await overLimit(() => recalled(unit, round));
    ratios.push({ recall: recall.ratio, bare: bare.ratio });
    console.log(
      `${baud} baud, ${PARAMETERS} parameters: the wire's limit ${recall.limitMs.toFixed(1)} ms; recall ${recall.tookMs.toFixed(1)} ms (far end late by ${recall.lateMs.toFixed(1)} more), ratio ${recall.ratio.toFixed(3)}; bytes alone ${bare.tookMs.toFixed(1)} ms (${bare.lateMs.toFixed(1)}), ratio ${bare.ratio.toFixed(3)}`,
    );
  }
  return { recall: ratiosOf(ratios.map(({ recall }) => recall)), bare: ratiosOf(ratios.map(({ bare }) => bare)) };
}

/** Sixteen at once, against one of the slowest alone in the same round. */
async function allAtOnce(programs: Programs): Promise<Ratios> {
  const bauds = Array.from({ length: UNITS }, (_, i) => (i % 2 === 0 ? 9600 : 38_400));
  const far = new FarEnd(programs.farEnd, bauds);
  const rack: ProcessorUnit[] = [];
  for (const baud of bauds) rack.push(await unitAt(await far.line(), baud));
  await Promise.all(rack.map((unit) => recalled(unit, 0)));
  const slow = rack.filter((_, i) => bauds[i] === Math.min(...bauds));
  const ratios: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const aloneMs = await recalled(slow[round % slow.length] as ProcessorUnit, 2 * round - 1);
    const began = performance.now();
    await Promise.all(rack.map((unit) => recalled(unit, 2 * round)));
    const togetherMs = performance.now() - began;
    ratios.push(togetherMs / aloneMs);
    console.log(
      `${UNITS} units (half of them at 9600 baud, half at 38400): one of the slowest alone ${aloneMs.toFixed(1)} ms, all at once ${togetherMs.toFixed(1)} ms, ratio ${(togetherMs / aloneMs).toFixed(3)}`,
    );
  }
  return ratiosOf(ratios);
}

const dir = await mkdtemp(join(tmpdir(), 'outboard-recall-'));
try {
  const programs = { farEnd: await compiled('recall-far-end', dir), bare: await compiled('recall-bare', dir) };
  const [at9600, at38400] = [await againstTheWire(programs, 9600), await againstTheWire(programs, 38_400)];
  const sixteen = await allAtOnce(programs);
  console.log(JSON.stringify({ goal: GOAL, at9600, at38400, togetherGoal: TOGETHER_GOAL, sixteen }));
  const slowest = Math.max(at9600.recall.median, at38400.recall.median);
  if (slowest > GOAL || sixteen.median > TOGETHER_GOAL) process.exitCode = 1;
} finally {
  await Promise.all(units.map((unit) => unit.stop()));
  for (const farEnd of farEnds) farEnd.end();
  await rm(dir, { recursive: true });
}
