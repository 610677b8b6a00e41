/**
 * outboardd with hands at its gear: the real rig, put together as its main.ts does, whose simulated units can be unplugged, restarted and turned
 * from outside, whose outputs can be listened to, and whose self-tests can be made to take their time. Units on ports of this host are the rig's
 * own. It takes orders as lines of JSON on `gear.sock` beside its control socket and answers each
 * with a line.
 */
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROCEDURES } from '../../calibration/procedures/index.js';
import type { Procedure } from '../../calibration/procedures/procedure.js';
import { sine } from '../../calibration/signals/signals.js';
import type { SettingValue } from '../../core/contract/index.js';
import { asOutboardError } from '../../core/errors.js';
import { audioDriver } from '../../daemon/audio-driver.js';
import { createLogger } from '../../daemon/log.js';
import { rigOptions } from '../../daemon/rig/assemble.js';
import type { UnitFactory } from '../../daemon/rig/rack.js';
import { Rig } from '../../daemon/rig/rig.js';
import { loadRigConfig } from '../../daemon/rig-config.js';
import type { ProcessorUnit } from '../../drivers/processors/processor-unit.js';
import { createUnit } from '../../drivers/processors/unit.js';
import { createVirtualTransport, type VirtualTransport } from '../../drivers/processors/virtual-unit.js';

/** Below this a sample is silence: a ramp ends in it. */
const AUDIBLE = 1e-6;

export type GearOrder =
  | { unit: string; do: 'unplug' | 'plug' | 'reboot' }
  /** Somebody turns a knob; `announce` is what the unit says of it. */
  | { unit: string; do: 'turn'; key: string; value: SettingValue; announce?: string }
  | { unit: string; do: 'value'; key: string }
  /** From now on the unit refuses these commands, and obeys all others. */
  | { unit: string; do: 'refuse'; commands: string[] }
  /** What the unit is doing: with the rig's other doors `busy` is `ready`. */
  | { unit: string; do: 'state' }
  /** Milliseconds since a sample was last heard at this output (from 1), null when there never was one. */
  | { do: 'silentFor'; send: number }
  /** Frames that were played from the moment in which the link to the unit was last known to be lost until this output was silent. */
  | { unit: string; do: 'audibleAfterLoss'; send: number }
  /** From now on a safe state of this unit's model takes so long to settle. */
  | { unit: string; do: 'settle'; seconds: number }
  /** From now on a self-test plays until it is ended. */
  | { do: 'testForEver' };

const log = createLogger('faulty-rig', 'warn');
const transports = new Map<string, VirtualTransport>();
const units = new Map<string, ProcessorUnit>();
const refused = new Map<string, readonly string[]>();
/** By output from 0: on the monotonic clock, and in frames played. */
const lastAudible = new Map<number, { atMs: number; atFrame: number }>();
/** By unit, in frames played. */
const lastLost = new Map<string, number>();
let played = 0;

let testsForEver = false;

const selfTest: Procedure = async (context) => {
  if (!testsForEver) return await PROCEDURES['self-test'](context);
  const { loop, signal } = context;
  const tone = sine(loop.rate, 997, -3, loop.rate);
  const sends = Array.from({ length: loop.insert.channels }, () => tone);
  for (;;) await loop.play(sends, { tailFrames: 0, signal });
};

function obey(order: GearOrder): unknown {
  if (order.do === 'silentFor') {
    const at = lastAudible.get(order.send - 1);
    return at === undefined ? null : performance.now() - at.atMs;
  }
  if (order.do === 'audibleAfterLoss') return lastAudible.get(order.send - 1)!.atFrame - lastLost.get(order.unit)!;
  if (order.do === 'testForEver') {
    testsForEver = true;
    return true;
  }
  const transport = transports.get(order.unit);
  if (!transport) throw new Error(`there is no unit ${order.unit}`);
  if (order.do === 'unplug') transport.unplug();
  else if (order.do === 'plug') transport.plugged = true;
  else if (order.do === 'reboot') transport.reboot();
  else if (order.do === 'turn') transport.localChange(order.key, order.value, order.announce);
  else if (order.do === 'settle') transport.unit.profile.document.safe.settleMs = 1000 * order.seconds;
  else if (order.do === 'state') return units.get(order.unit)!.state;
  else if (order.do === 'refuse') refused.set(order.unit, order.commands);
  else if (order.do === 'value') return transport.unit.value(order.key);
  return true;
}

try {
  const loaded = await loadRigConfig(process.argv[2]!);
  const options = await rigOptions(loaded, {
    log,
    version: '0.0.0-test',
    credentialsDirectory: undefined,
    inherited: {},
    onIndeterminate: () => process.exit(74),
  });
  const { audio, device, analog } = await audioDriver(loaded);
  if (!analog) throw new Error('only a simulated analog path can be listened to');
  const process_ = analog.process.bind(analog);
  analog.process = (sends, returns, frames) => {
    sends.forEach((block, send) => {
      const at = block.subarray(0, frames).findLastIndex((sample) => Math.abs(sample) > AUDIBLE);
      if (at >= 0) lastAudible.set(send, { atMs: performance.now(), atFrame: played + at });
    });
    played += frames;
    process_(sends, returns, frames);
  };
  const makeUnit: UnitFactory = (name, profile, insert) => {
    if (!('virtual' in loaded.config.processors[name]!.port)) return options.makeUnit(name, profile, insert);
    const transport = createVirtualTransport(profile, analog.modifierOf(name, insert));
    transports.set(name, transport);
    const { unit } = transport;
    const obey = unit.obey.bind(unit);
    unit.obey = (command) => (refused.get(name)?.includes(command) ? unit.error('bad-value') : obey(command));
    return createUnit({ name, profile, transport, logger: log, backoff: { baseMs: 50, maxMs: 200 } });
  };
  const rig = new Rig({
    ...options,
    audio,
    device,
    procedures: { ...options.procedures, 'self-test': selfTest },
    makeUnit: (name, profile, insert) => {
      const unit = makeUnit(name, profile, insert);
      units.set(name, unit);
      unit.onState((state) => {
        if (state === 'lost') lastLost.set(name, played);
      });
      return unit;
    },
  });
  process.on('SIGTERM', () => void rig.stop().then(() => process.exit(0)));
  await rig.start();
  createServer((socket) => {
    createInterface({ input: socket }).on('line', (line) => {
      try {
        socket.write(`${JSON.stringify({ answer: obey(JSON.parse(line) as GearOrder) })}\n`);
      } catch (error) {
        socket.write(`${JSON.stringify({ error: String(error) })}\n`);
      }
    });
  }).listen(join(dirname(loaded.resolve(loaded.config.sockets.control)), 'gear.sock'));
} catch (cause) {
  const error = asOutboardError(cause);
  log.fatal({ err: cause, code: error.code }, error.message);
  process.exit(error.exitCode);
}
