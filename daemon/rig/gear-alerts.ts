/**
 * What whoever watches the rig is told of its processors: a unit that went, that is another one, that cannot be made safe, or at which somebody
 * turns knobs. What was told is struck off by a notice with the same code when it is over.
 */
import type { Problem, Severity } from '../../core/contract/index.js';
import { type ErrorCode, OutboardError } from '../../core/errors.js';
import { isWell, type Rack } from './rack.js';

/** A knob that is turned says so many times a second: one alert tells it. */
const CHANGE_EVERY_MS = 60_000;

export interface GearAlertsOptions {
  rack: Rack;
  alert(severity: Severity, problem: Problem): void;
  /** True while technicians may turn knobs. */
  attended(): boolean;
}

export class GearAlerts {
  readonly #o: GearAlertsOptions;
  /** What is open, by unit. */
  readonly #told = new Map<string, Set<ErrorCode>>();
  readonly #changedAtMs = new Map<string, number>();
  #remove: (() => void)[] = [];

  constructor(options: GearAlertsOptions) {
    this.#o = options;
  }

  start(): void {
    const { rack } = this.#o;
    this.#remove = [
      rack.onState((name) => this.#look(name)),
      rack.onLocalChange((name, { means }) => this.#changed(name, means)),
    ];
  }

  /** Tells of every unit that is not well now. One that is asked who it is has no news by itself. */
  look(): void {
    for (const { name } of this.#o.rack.units) this.#look(name);
  }

  stop(): void {
    for (const remove of this.#remove) remove();
    this.#remove = [];
  }

  #look(name: string): void {
    const { rack } = this.#o;
    const { state, lastFault, profile } = rack.unit(name);
    const unsafe = rack.unsafe(name);
    if (!isWell(state)) {
      // One that was refused is asked again and again: it stays another unit until it answers otherwise, or not at all.
      const code = lastFault?.code === 'processor.identity' ? 'processor.identity' : 'processor.lost';
      const why = lastFault ? `: ${lastFault.message}` : '';
      this.#tell(name, new OutboardError(code, `${name} (${profile.id}) is ${state}${why}`, { cause: lastFault }));
    } else if (unsafe !== undefined) {
      this.#over(name, ['processor.lost', 'processor.identity']);
      this.#tell(name, new OutboardError('processor.unsafe', `${name} is not in its safe state: ${unsafe.message}`));
    } else if (!rack.owed.has(name)) this.#over(name);
  }

  #tell(name: string, error: OutboardError): void {
    const told = this.#told.get(name) ?? new Set();
    if (told.has(error.code)) return;
    this.#told.set(name, told.add(error.code));
    this.#o.alert('critical', { ...error.toJSON(), details: { processor: name } });
  }

  #over(name: string, codes: readonly ErrorCode[] = [...(this.#told.get(name) ?? [])]): void {
    for (const code of codes)
      if (this.#told.get(name)?.delete(code))
        this.#o.alert('notice', {
          code,
          message: `${name} answers again${safely(this.#o.rack.safety(name))}`,
          advice: 'Nothing is to be done.',
          details: { processor: name },
        });
  }

  #changed(name: string, means: 'reboot' | 'local-change'): void {
    // A restart ends the link, and that is told.
    if (means === 'reboot' || this.#o.attended()) return;
    const now = performance.now();
    if (now - (this.#changedAtMs.get(name) ?? Number.NEGATIVE_INFINITY) < CHANGE_EVERY_MS) return;
    this.#changedAtMs.set(name, now);
    const error = new OutboardError('processor.changed', `somebody changed a setting at ${name}`, {
      details: { processor: name },
    });
    this.#o.alert('warning', error.toJSON());
  }
}

function safely(safety: ReturnType<Rack['safety']>): string {
  if (safety === null) return '';
  return safety === 'verified' ? ' and is in its safe state, verified' : ' and was sent its safe state, unverified';
}
