/**
 * The gear of one take, watched from before its recall until after its last read-back. A link that goes, a restart, a knob that somebody turns
 * or a value that drifts voids the take at once, so that its outputs fall silent while the fault is fresh, and not when the song is over.
 *
 * Some faults say nothing: a serial line that is cut behind its adapter, a unit that is switched off or changes without a word. So every unit is
 * asked for one of its settings after the other while the take rolls, or, where none can be read, who it is.
 */
import type { RecalledSetting, Settings } from '../../core/contract/index.js';
import { delay } from '../../core/duration.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import type { ProcessorUnit } from '../../drivers/processors/processor-unit.js';
import { isWell } from './rack.js';

/** Between two questions to one unit. A reading of a slow serial line takes a tenth of this. */
const ASK_EVERY_MS = 200;
/**
 * A unit that has not answered by then is lost. With the pause before the question that leaves 400 ms of the second in which the alert has to be out.
 */
const ANSWER_MS = 400;

export type WatchedUnit = Pick<
  ProcessorUnit,
  'name' | 'profile' | 'state' | 'lastFault' | 'identify' | 'readBack' | 'onLocalChange' | 'onState'
>;

export class GearWatch {
  readonly #units: readonly WatchedUnit[];
  readonly #voided = new AbortController();
  readonly #over = new AbortController();
  readonly #askEveryMs: number;
  #listeners: (() => void)[] = [];
  #asking: Promise<unknown> = Promise.resolve();

  constructor(units: readonly WatchedUnit[], askEveryMs = ASK_EVERY_MS) {
    this.#units = units;
    this.#askEveryMs = askEveryMs;
  }

  /** Aborted with the reason (take.drift | processor.*) as soon as the take is void. */
  get signal(): AbortSignal {
    return this.#voided.signal;
  }

  /** From here on nothing of these units may change but by the rig. */
  begin(): void {
    this.#listeners = this.#units.flatMap((unit) => [
      unit.onState((state) => {
        if (!isWell(state)) this.#void(lostDuring(unit));
      }),
      unit.onLocalChange(({ means, line }) =>
        this.#void(
          new OutboardError(
            'take.drift',
            means === 'reboot'
              ? `${unit.name} restarted during the take`
              : `somebody changed a setting at ${unit.name} during the take`,
            { details: { processor: unit.name, line } },
          ),
        ),
      ),
    ]);
    for (const unit of this.#units) if (!isWell(unit.state)) this.#void(lostDuring(unit));
  }

  /**
   * Asks, as long as the watch lasts, what the units have, a setting at a time. A unit that cannot be asked even who it is may fall silent
   * unnoticed.
   * @param lasting of each unit, in their order, what was verified and has to stay so: nobody can say of anything else that it drifted
   */
  ask(lasting: readonly (readonly RecalledSetting[])[]): void {
    this.#asking = Promise.all(this.#units.map((unit, index) => this.#askUnit(unit, lasting[index]!)));
  }

  async #askUnit(unit: WatchedUnit, settings: readonly RecalledSetting[]): Promise<void> {
    if (settings.length === 0 && unit.profile.identity.length === 0) return;
    const ended = AbortSignal.any([this.#over.signal, this.#voided.signal]);
    for (let turn = 0; ; turn++) {
      await delay(this.#askEveryMs, ended).catch(() => undefined);
      if (ended.aborted) return;
      try {
        await this.#askOnce(unit, settings[turn % settings.length]);
      } catch (cause) {
        this.#void(asOutboardError(cause));
      }
    }
  }

  async #askOnce(unit: WatchedUnit, setting: RecalledSetting | undefined): Promise<void> {
    if (setting === undefined) return void (await unit.identify(ANSWER_MS));
    const { name, requested } = setting;
    const [now] = await unit.readBack({ [name]: requested } satisfies Settings, ANSWER_MS);
    if (now?.state !== 'verified') this.#void(drifted(unit.name, name, now?.readBack));
  }

  /** Stops asking and listening; resolves when no question of it is on the wire. May be called twice. */
  async end(): Promise<void> {
    this.#over.abort();
    await this.#asking;
    for (const remove of this.#listeners) remove();
    this.#listeners = [];
  }

  #void(error: OutboardError): void {
    this.#voided.abort(error);
  }
}

/** A unit that had a setting and has it no longer. */
export function drifted(processor: string, setting: string, readBack: unknown): OutboardError {
  return new OutboardError('take.drift', `${processor} no longer had ${setting} as it was recalled`, {
    details: { processor, setting, readBack: readBack ?? null },
  });
}

function lostDuring({ name, state, lastFault }: WatchedUnit): OutboardError {
  const why = lastFault ? `: ${lastFault.message}` : '';
  return new OutboardError('processor.lost', `the link to ${name} went during the take; it is ${state}${why}`, {
    cause: lastFault,
    details: { processor: name },
  });
}
