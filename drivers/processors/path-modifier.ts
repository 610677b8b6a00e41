/**
 * What a simulated processor does to the simulated analog path of its insert. The unit writes it, the path reads it for every block,
 * so that a setting is heard as soon as the unit has taken it.
 */
export interface PathModifier {
  /** Gain added to the insert's own, dB. */
  gainDb: number;
  muted: boolean;
  /** Delay added to the insert's own, seconds. */
  delaySeconds: number;
  /** Of a unit that records: what it remembers is being erased. */
  erasing?: boolean;
  /** Of a matrix: which input each output hears; an output that is not named hears none. */
  routes?: ReadonlyMap<number, number>;
}
