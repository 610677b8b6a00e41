/** A rack of simulated units without a rig around it, and hands at each of them. */
import type { TestContext } from 'node:test';
import type { RigConfig } from '../../core/contract/index.js';
import { createLogger } from '../../daemon/log.js';
import { Rack } from '../../daemon/rig/rack.js';
import { loadProfiles, type Profile } from '../../drivers/processors/profile.js';
import { createUnit } from '../../drivers/processors/unit.js';
import { createVirtualTransport, type VirtualTransport } from '../../drivers/processors/virtual-unit.js';

export interface VirtualRack {
  rack: Rack;
  config: RigConfig;
  profiles: ReadonlyMap<string, Profile>;
  /** The simulated hardware by the unit's name. */
  wires: ReadonlyMap<string, VirtualTransport>;
}

/** Every unit has been opened, and made safe where it answers. */
export async function virtualRack(
  t: Pick<TestContext, 'after'>,
  { inserts = {}, processors }: { inserts?: object; processors: Record<string, object> },
): Promise<VirtualRack> {
  const profiles = await loadProfiles();
  const config = { rig: 'rig-01', inserts, processors } as unknown as RigConfig;
  const wires = new Map<string, VirtualTransport>();
  const rack = new Rack({
    config,
    profiles,
    make: (name, profile) => {
      const transport = createVirtualTransport(profile, { gainDb: 0, muted: false, delaySeconds: 0 });
      wires.set(name, transport);
      return createUnit({ name, profile, transport, backoff: { baseMs: 5, maxMs: 20 } });
    },
    log: createLogger('test', 'silent'),
  });
  await rack.start(new AbortController().signal);
  t.after(() => rack.stop());
  await rack.safe();
  return { rack, config, profiles, wires };
}
