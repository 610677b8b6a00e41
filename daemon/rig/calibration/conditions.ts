/** Under what circumstances a run measures: everything that a reader of its document needs to know of the rig. */
import type { CalibrationRun, RigConfig, Settings } from '../../../core/contract/index.js';
import { OutboardError } from '../../../core/errors.js';
import type { ProcessorUnit } from '../../../drivers/processors/processor-unit.js';
import type { DevicePair } from '../../audio-driver.js';
import type { Engine } from '../engine/engine.js';
import { presentSettings } from '../present-settings.js';
import { isWell, type Rack } from '../rack.js';
import type { CalibrationInForce } from './in-force.js';

export interface RunPlace {
  config: RigConfig;
  device: DevicePair;
  rack: Rack;
  inForce: CalibrationInForce;
}

/**
 * @param settings what the units of the insert have; they are asked when absent
 * @throws OutboardError processor.* when a unit that answered does not any more; audio.closed when the stream has just ended
 */
export async function conditionsOf(
  { config, device, rack, inForce }: RunPlace,
  insert: string,
  engine: Engine,
  settings?: (processor: string) => Settings,
): Promise<CalibrationRun['conditions']> {
  const { granted, latency } = engine;
  if (!granted || !latency) throw new OutboardError('audio.closed', 'the stream ended before the measurement began');
  const { sends, ceilingDbfs } = config.inserts[insert]!;
  return {
    driver: config.interface.driver,
    device,
    rate: granted.rate,
    channels: sends.length,
    loopLatencyFrames: latency.frames + latency.fraction,
    ceilingDbfs,
    calibration: inForce.version,
    fullScaleDbu: inForce.fullScaleDbu(insert),
    processors: await Promise.all(processorsOn(config, insert).map((name) => processorOf(rack, name, settings))),
  };
}

export function processorsOn(config: Pick<RigConfig, 'processors'>, insert: string): string[] {
  return Object.entries(config.processors).flatMap(([name, processor]) => (processor.insert === insert ? [name] : []));
}

/** A unit that is away or cannot be read is measured all the same: its settings are then nobody's word. */
async function processorOf(
  rack: Rack,
  name: string,
  settings?: (processor: string) => Settings,
): Promise<CalibrationRun['conditions']['processors'][number]> {
  const unit = rack.unit(name);
  const { id, version, hash } = unit.profile;
  return { name, profile: { id, version, hash }, settings: settings ? settings(name) : await present(unit) };
}

/** What can be read of a unit; nothing of one that is away. @throws OutboardError processor.* */
export async function present(unit: ProcessorUnit): Promise<Settings> {
  const read = isWell(unit.state) ? [...(await presentSettings(unit)).values()] : [];
  return Object.fromEntries(read.flatMap(({ name, readBack }) => (readBack === undefined ? [] : [[name, readBack]])));
}
