/** What people see of the processors and do with them at control.sock. Reading a unit and setting it is for maintenance; a list asks none. */
import type {
  Mode,
  ProcessorAnswer,
  ProcessorPort,
  ProcessorSummary,
  ProcessorsAnswer,
  RecalledSetting,
  RigConfig,
  Settings,
} from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import type { ProcessorUnit } from '../../drivers/processors/processor-unit.js';
import { checkSettings } from '../../drivers/processors/settings.js';
import { presentSettings, settingsOf } from './present-settings.js';
import { isWell, type Rack } from './rack.js';

export interface GearDeskOptions {
  config: RigConfig;
  rack: Rack;
  mode(): Mode;
}

export class GearDesk {
  readonly #o: GearDeskOptions;

  constructor(options: GearDeskOptions) {
    this.#o = options;
  }

  list(): ProcessorsAnswer {
    const { config, rack, mode } = this.#o;
    return { rig: config.rig, mode: mode(), processors: rack.units.map((unit) => this.#summary(unit)) };
  }

  /** All parameters of a unit; in maintenance with what it has now. @throws OutboardError job.processor | processor.* */
  async show(name: string): Promise<ProcessorAnswer> {
    const { config, mode } = this.#o;
    const unit = this.#unit(name);
    const read = mode() === 'maintenance' && isWell(unit.state);
    const present = read ? await presentSettings(unit) : new Map<string, RecalledSetting>();
    return {
      rig: config.rig,
      mode: mode(),
      processor: this.#summary(unit),
      read,
      parameters: settingsOf(unit.profile).map(({ key, parameter }) => ({
        name: key,
        kind: parameter.kind,
        unit: parameter.unit ?? null,
        range: parameter.taper.range,
        present: present.get(key)?.readBack ?? null,
        safe: unit.profile.safeState[key] ?? null,
        verify: parameter.verifyBy,
        hazard: parameter.hazard ?? null,
      })),
    };
  }

  /** @throws OutboardError job.processor | job.setting, before anything is done */
  check(processor: string | undefined, settings: Settings | undefined): string {
    const unit = this.#unit(processor ?? '');
    if (settings !== undefined) checkSettings(unit.profile, settings, 'settings');
    return unit.name;
  }

  async set(processor: string, settings: Settings): Promise<RecalledSetting[]> {
    return await this.#unit(processor).recall(settings);
  }

  async safe(processor: string): Promise<RecalledSetting[]> {
    const { rack } = this.#o;
    const [failure] = await rack.safe([processor]);
    // The safe state of some has the front panel locked, and here somebody stands before it.
    await rack.handBack([processor]);
    if (failure) throw failure.error;
    return [...(rack.lastSafe(processor) ?? [])];
  }

  async identify(processor: string): Promise<Readonly<Record<string, string>>> {
    return await this.#unit(processor).identify();
  }

  #unit(name: string): ProcessorUnit {
    const unit = this.#o.rack.units.find((candidate) => candidate.name === name);
    if (unit) return unit;
    const known = this.#o.rack.units.map((candidate) => candidate.name);
    throw new OutboardError('job.processor', `this rig has no processor "${name}"; it has ${known.join(', ')}`, {
      details: { value: name, allowed: known },
    });
  }

  #summary(unit: ProcessorUnit): ProcessorSummary {
    const { config, rack } = this.#o;
    const { insert, patchbay, port } = config.processors[unit.name]!;
    const { id, version, hash, document, identityStrength } = unit.profile;
    return {
      name: unit.name,
      profile: { id, version, hash },
      device: `${document.device.make} ${document.device.model}`,
      insert: insert ?? null,
      patchbay: patchbay === true,
      port: portText(port),
      state: isWell(unit.state) ? 'ready' : unit.state,
      safeOwed: rack.owed.has(unit.name),
      lastSafe: rack.safety(unit.name),
      identity: unit.identity ? { ...unit.identity } : null,
      identityStrength,
      lastError: (rack.unsafe(unit.name) ?? unit.lastFault)?.toJSON() ?? null,
      lastWireMs: unit.lastWireMs,
    };
  }
}

function portText(port: ProcessorPort): string {
  if ('serial' in port) return port.serial;
  if ('midi' in port) return `MIDI "${port.midi}"`;
  return port.virtual === true ? 'simulated' : `simulated, at a ${port.virtual === 'pty' ? 'pty' : 'MIDI port'}`;
}
