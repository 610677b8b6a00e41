/**
 * Isolation in the analog domain (DESIGN section 3): takes of different tenants roll at the same time only where the measured crosstalk,
 * plus the most that either chain can add, stays below the floor. A pair that nobody measured is never shared.
 */
import type { Isolation, RigConfig } from '../../core/contract/index.js';

/** The rules of one rig, from its configuration. */
export interface IsolationRules extends Pick<Isolation, 'floorDbfs'> {
  /** From insert to insert, with what the patchbays between them leak. A pair that is not listed was not measured. */
  crosstalk: readonly { from: string; to: string; db: number }[];
  /** Pairs of inserts (both ways, `a b`) that have a channel or a crosspoint in common: never two takes at once, whoever they are for. */
  exclusive?: ReadonlySet<string>;
}

/**
 * What the configuration means for pairs of inserts. Where both lead through the same patchbay, its measured leakage counts too; where nobody
 * measured that, the pair counts as not measured.
 */
export function isolationRules({ isolation, inserts }: Pick<RigConfig, 'isolation' | 'inserts'>): IsolationRules {
  const exclusive = new Set<string>();
  const names = Object.keys(inserts);
  for (const a of names)
    for (const b of names) if (a !== b && haveInCommon(inserts[a]!, inserts[b]!)) exclusive.add(pairOf(a, b));
  const crosstalk = isolation.crosstalk.flatMap(({ from, to, db }) => {
    const [one, other] = [Object.keys(inserts[from]?.via ?? {}), Object.keys(inserts[to]?.via ?? {})];
    const leaks = one
      .filter((bay) => other.includes(bay))
      .map((bay) => isolation.patchbays?.find(({ patchbay }) => patchbay === bay)?.db);
    if (leaks.includes(undefined)) return [];
    return [{ from, to, db: Math.max(db, ...(leaks as number[])) }];
  });
  return { floorDbfs: isolation.floorDbfs, crosstalk, exclusive };
}

/** True when two inserts use one channel of the interface, or one input or output of a patchbay: they cannot be connected at the same time. */
export function haveInCommon(a: RigConfig['inserts'][string], b: RigConfig['inserts'][string]): boolean {
  if (a.sends.some((send) => b.sends.includes(send)) || a.returns.some((back) => b.returns.includes(back))) return true;
  return Object.entries(a.via ?? {}).some(([bay, mine]) =>
    (b.via?.[bay] ?? []).some((yours) => mine.some((point) => point.in === yours.in || point.out === yours.out)),
  );
}

function pairOf(a: string, b: string): string {
  return `${a} ${b}`;
}

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
export function mayRollTogether(a: IsolationSubject, b: IsolationSubject, isolation: IsolationRules): boolean {
  const clash = (x: string, y: string) => x === y || isolation.exclusive?.has(pairOf(x, y)) === true;
  if (a.inserts.some((mine) => b.inserts.some((yours) => clash(mine.name, yours.name)))) return false;
  return a.tenant === b.tenant || (silentIn(a, b, isolation) && silentIn(b, a, isolation));
}

/** True when nothing at the loud inserts can be heard in the other's. */
export function silentIn(
  loud: Pick<IsolationSubject, 'inserts'>,
  other: Pick<IsolationSubject, 'inserts'>,
  isolation: IsolationRules,
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
