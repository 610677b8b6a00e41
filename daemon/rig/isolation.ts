/**
 * Isolation in the analog domain (DESIGN section 3): takes of different tenants roll at the same time only where the measured crosstalk,
 * plus the most that the louder chain can add, stays below the floor. A pair that nobody measured is never shared.
 */
import type { Isolation } from '../../core/contract/index.js';

export interface IsolationSubject {
  tenant: string;
  inserts: readonly string[];
  /** The most that the chain can add to a full-scale source, in dB. */
  maxGainDb: number;
}

/** True when neither of the two can be heard in the other's take above the floor. */
export function mayRollTogether(a: IsolationSubject, b: IsolationSubject, isolation: Isolation): boolean {
  if (a.inserts.some((insert) => b.inserts.includes(insert))) return false;
  if (a.tenant === b.tenant) return true;
  return silentIn(a, b, isolation) && silentIn(b, a, isolation);
}

function silentIn(loud: IsolationSubject, other: IsolationSubject, isolation: Isolation): boolean {
  return loud.inserts.every((from) =>
    other.inserts.every((to) => {
      const measured = isolation.crosstalk.find((pair) => pair.from === from && pair.to === to);
      // A source can reach 0 dBFS; what leaks through is amplified by the other chain too.
      return (
        measured !== undefined && measured.db + loud.maxGainDb + Math.max(0, other.maxGainDb) <= isolation.floorDbfs
      );
    }),
  );
}
