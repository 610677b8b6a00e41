/** From the crosspoints of an insert to the settings of a patchbay, with the profiles in the tree. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { RigConfig } from '../../core/contract/index.js';
import { allOpen, checkPatchbays, patchbaysOf, routesOf } from '../../daemon/patchbay-routes.js';
import { haveInCommon, isolationRules } from '../../daemon/rig/isolation.js';
import { loadProfiles, type Profile } from '../../drivers/processors/index.js';

type Point = { in: number; out: number };

function rig(inserts: Record<string, { channel: number; via: Point[] }>, profile = 'extron.crosspoint300-hva') {
  return {
    inserts: Object.fromEntries(
      Object.entries(inserts).map(([name, { channel, via }]) => [
        name,
        { sends: [channel], returns: [channel], latencyFrames: 0, memorySeconds: 0, via: { bay: via } },
      ]),
    ),
    processors: { bay: { profile, patchbay: true, port: { virtual: true }, vars: {} } },
  } as unknown as RigConfig;
}

describe('the routes of a patchbay', () => {
  let profiles: ReadonlyMap<string, Profile>;
  before(async () => {
    profiles = await loadProfiles();
  });

  it('connect an insert with all that lets sound through, and put that back', () => {
    const config = rig({ eq: { channel: 1, via: [{ in: 1, out: 3 }] } });
    const [bay] = routesOf(config, profiles, 'eq');
    assert.deepEqual(bay, {
      processor: 'bay',
      closed: { 'mute@out=3': false, 'inGain@in=1': 0, 'outVol@out=3': 0, 'tie@out=3': 1 },
      open: { 'mute@out=3': true, 'inGain@in=1': 0, 'outVol@out=3': -85, 'tie@out=3': 0 },
      outputs: [3],
      inputs: [1],
    });
    assert.deepEqual(patchbaysOf(config, ['eq']), ['bay']);
    assert.equal(Object.keys(allOpen(profiles.get('extron.crosspoint300-hva')!, 'bay')).length, 8);
  });

  it('are refused where the unit has no such input or output, or is no matrix', () => {
    const refused = (config: RigConfig, path: string) =>
      assert.throws(
        () => checkPatchbays(config, profiles),
        (error: { code: string; message: string }) =>
          error.code === 'config.invalid' && error.message.startsWith(`${path}: `),
      );
    refused(rig({ eq: { channel: 1, via: [{ in: 1, out: 9 }] } }), 'inserts.eq.via.bay[0].out');
    refused(rig({ eq: { channel: 1, via: [{ in: 17, out: 1 }] } }), 'inserts.eq.via.bay[0].in');
    refused(rig({}, 'virtual.gain'), 'processors.bay.patchbay');
    checkPatchbays(rig({ eq: { channel: 1, via: [{ in: 16, out: 8 }] } }), profiles);
  });

  it('keep two inserts apart that have a channel, an input or an output in common', () => {
    const { inserts } = rig({
      a: { channel: 1, via: [{ in: 1, out: 3 }] },
      channel: { channel: 1, via: [{ in: 2, out: 4 }] },
      input: { channel: 2, via: [{ in: 1, out: 4 }] },
      output: { channel: 3, via: [{ in: 2, out: 3 }] },
      none: { channel: 4, via: [{ in: 5, out: 5 }] },
    });
    const rivals = Object.keys(inserts).filter((name) => name !== 'a' && haveInCommon(inserts['a']!, inserts[name]!));
    assert.deepEqual(rivals, ['channel', 'input', 'output']);
  });

  it('count with what the patchbay leaks, and as not measured where nobody measured that', () => {
    const { inserts } = rig({
      a: { channel: 1, via: [{ in: 1, out: 3 }] },
      b: { channel: 2, via: [{ in: 2, out: 4 }] },
    });
    const measured = { floorDbfs: -100, quietDbfs: -90, crosstalk: [{ from: 'a', to: 'b', db: -120 }] };
    const rules = (patchbays?: { patchbay: string; db: number }[]) =>
      isolationRules({ inserts, isolation: { ...measured, ...(patchbays ? { patchbays } : {}) } }).crosstalk;
    assert.deepEqual(rules([{ patchbay: 'bay', db: -90 }]), [{ from: 'a', to: 'b', db: -90 }]);
    assert.deepEqual(rules([{ patchbay: 'bay', db: -130 }]), [{ from: 'a', to: 'b', db: -120 }]);
    assert.deepEqual(rules(), []);
  });
});
