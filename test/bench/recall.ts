/**
 * `npm run bench:recall [-- ROUNDS]`: how long the recall of 40 parameters with read-back takes over a serial line (a kernel pty behind socat,
 * at the pace of the baud rate), against what its bytes alone take on that line; then sixteen units at once against the slowest of them alone.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ProcessorUnit } from '../../drivers/processors/processor-unit.js';
import { parseProfile } from '../../drivers/processors/profile.js';
import { createSerialTransport } from '../../drivers/processors/serial-transport.js';
import { createUnit } from '../../drivers/processors/unit.js';
import type { Counted, FarEnd } from './recall-far-end.js';

const PARAMETERS = 40;
const UNITS = 16;
const GOAL = 1.15;
/** 8N1. */
const BITS_PER_BYTE = 10;
const rounds = Number(process.argv[2] ?? 5);

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

const far = fork(fileURLToPath(new URL('./recall-far-end.js', import.meta.url)), { serialization: 'advanced' });
const units: ProcessorUnit[] = [];

async function ask<T>(request: FarEnd): Promise<T> {
  far.send(request);
  const [answer] = await once(far, 'message');
  return answer as T;
}

async function unitAt(baud: number): Promise<ProcessorUnit> {
  const { path } = await ask<{ path: string }>({ open: baud });
  const profile = parseProfile(profileAt(baud), 'bench');
  const transport = createSerialTransport({ path, baud, format: '8N1', flow: 'none' });
  const unit = createUnit({ name: path, profile, transport });
  units.push(unit);
  await unit.start(new AbortController().signal);
  if (unit.state !== 'ready') throw unit.lastFault ?? new Error(`${path} is ${unit.state}`);
  return unit;
}

/** Milliseconds of one recall of other values than those before. */
async function recalled(unit: ProcessorUnit, round: number): Promise<number> {
  const values = Array.from({ length: PARAMETERS }, (_, i) => [`gain@in=${i + 1}`, ((i * 7 + round * 11) % 43) - 18]);
  const began = performance.now();
  const settings = await unit.recall(Object.fromEntries(values));
  const tookMs = performance.now() - began;
  if (settings.length !== PARAMETERS || settings.some(({ state }) => state !== 'verified'))
    throw new Error('unverified');
  return tookMs;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

async function againstTheWire(baud: number): Promise<number> {
  const unit = await unitAt(baud);
  await recalled(unit, 0);
  const ratios: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    await ask({ count: 'begin' });
    const wholeMs = await recalled(unit, round);
    const { bytes, lateMs } = await ask<Counted>({ count: 'end' });
    // What the far end was late is not the driver's.
    const tookMs = wholeMs - lateMs;
    const limitMs = (bytes * BITS_PER_BYTE * 1000) / baud;
    ratios.push(tookMs / limitMs);
    console.log(
      `${baud} baud, ${PARAMETERS} parameters: ${tookMs.toFixed(1)} ms (and ${lateMs.toFixed(1)} ms for which the far end was late); ${bytes} bytes take ${limitMs.toFixed(1)} ms; ratio ${(tookMs / limitMs).toFixed(3)}`,
    );
  }
  return median(ratios);
}

async function allAtOnce(): Promise<{ slowestMs: number; togetherMs: number; ratio: number }> {
  const rack: ProcessorUnit[] = [];
  for (let i = 0; i < UNITS; i++) rack.push(await unitAt(i % 2 === 0 ? 9600 : 38_400));
  const alone: number[] = [];
  for (const [i, unit] of rack.entries()) {
    await recalled(unit, 0);
    alone.push(await recalled(unit, i + 1));
  }
  const together: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const began = performance.now();
    await Promise.all(rack.map((unit, i) => recalled(unit, 20 + i + round)));
    together.push(performance.now() - began);
  }
  const slowestMs = Math.max(...alone);
  const togetherMs = median(together);
  console.log(
    `${UNITS} units (half of them at 9600 baud, half at 38400): the slowest alone ${slowestMs.toFixed(1)} ms, all at once ${togetherMs.toFixed(1)} ms`,
  );
  return { slowestMs, togetherMs, ratio: togetherMs / slowestMs };
}

try {
  const [at9600, at38400] = [await againstTheWire(9600), await againstTheWire(38_400)];
  const sixteen = await allAtOnce();
  console.log(JSON.stringify({ goal: GOAL, ratio9600: at9600, ratio38400: at38400, sixteen }));
  if (at9600 > GOAL || at38400 > GOAL) process.exitCode = 1;
} finally {
  await Promise.all(units.map((unit) => unit.stop()));
  far.disconnect();
}
