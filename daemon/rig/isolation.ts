/**
 * Isolation in the analog domain (DESIGN section 3): takes of different tenants roll at the same time only where the measured crosstalk,
 * plus the most that either chain can add, stays below the floor. A pair that nobody measured is never shared.
 */
import type { Isolation } from '../../core/contract/index.js';

export interface IsolatedInsert {
  name: string;
  /** The most that can stand at this insert, dBFS: at least full scale, because a source can reach it. */
  loudDb: number;
  /** The most that is added to what leaks into this insert before it is recorded, dB; at least 0. */
  amplifyDb: number;
}

export interface IsolationSubject {
  tenant: string;
  inserts: readonly IsolatedInsert[];
}

/** True when neither of the two can be heard in the other's take above the floor. */
export function mayRollTogether(a: IsolationSubject, b: IsolationSubject, isolation: Isolation): boolean {
  if (a.inserts.some((mine) => b.inserts.some((yours) => yours.name === mine.name))) return false;
  return a.tenant === b.tenant || (silentIn(a, b, isolation) && silentIn(b, a, isolation));
}

/** True when nothing at the loud inserts can be heard in the other's. */
export function silentIn(
  loud: Pick<IsolationSubject, 'inserts'>,
  other: Pick<IsolationSubject, 'inserts'>,
  isolation: Isolation,
): boolean {
  return loud.inserts.every((from) =>
    other.inserts.every((to) => {
      const measured = isolation.crosstalk.find((pair) => pair.from === from.name && pair.to === to.name);
      return measured !== undefined && measured.db + from.loudDb + to.amplifyDb <= isolation.floorDbfs;
    }),
  );
}

/**
 * What each insert of a chain can hold and add. A level counts where it stands: a later attenuation makes an earlier insert no quieter, and
 * an earlier one makes what leaks in behind it no quieter.
 *
 * @param hops in the order of the chain; the digital level into the insert, the largest gain of its processor, and the trims of its
 * channels, of which the highest counts; dB
 */
export function isolatedInserts(
  hops: readonly {
    insert: string;
    driveDb: number;
    maxGainDb: number;
    sendTrimDb: readonly number[];
    returnTrimDb: readonly number[];
  }[],
): IsolatedInsert[] {
  let levelDb = 0;
  const inserts = hops.map(({ insert, driveDb, maxGainDb, sendTrimDb, returnTrimDb }) => {
    const sentDb = levelDb + driveDb + Math.max(...sendTrimDb);
    const returnedDb = sentDb + maxGainDb;
    levelDb = returnedDb + Math.max(...returnTrimDb);
    return { name: insert, loudDb: Math.max(0, sentDb, returnedDb), amplifyDb: 0 };
  });
  let followingDb = 0;
  for (let index = hops.length - 1; index >= 0; index--) {
    const { driveDb, maxGainDb, sendTrimDb, returnTrimDb } = hops[index]!;
    const behindDb = Math.max(0, followingDb) + Math.max(0, ...returnTrimDb);
    // The leak may come in before this insert's own gain or behind it.
    inserts[index]!.amplifyDb = behindDb + Math.max(0, maxGainDb);
    followingDb = behindDb + driveDb + Math.max(...sendTrimDb) + maxGainDb;
  }
  return inserts;
}
