/** One sweep over every profile in the tree: what a profile promises is tried out, over its whole range. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, type Decimal } from '../../../drivers/processors/decimal.js';
import {
  ackLine,
  indicesOf,
  parseAck,
  parseRead,
  parseReply,
  parseSet,
  readLine,
  replyLine,
  setLine,
} from '../../../drivers/processors/parameter.js';
import { loadProfiles } from '../../../drivers/processors/profile.js';
import { checkSettings } from '../../../drivers/processors/settings.js';

const profiles = await loadProfiles();

test('there are profiles', () => {
  assert.deepEqual([...profiles.keys()], ['virtual.delay', 'virtual.gain']);
});

for (const profile of profiles.values()) {
  test(`${profile.id}: every value of the range comes back from every line`, () => {
    for (const parameter of profile.params.values())
      for (const index of indicesOf(parameter))
        for (const value of parameter.taper.sample(5000)) {
          const w = parameter.taper.encode(value) as Decimal;
          const lines = [
            parseSet(parameter, setLine(parameter, index, w)),
            ...(parameter.lines.ack ? [parseAck(parameter, ackLine(parameter, index, w)!)] : []),
            ...(parameter.lines.reply ? [parseReply(parameter, replyLine(parameter, index, w)!)] : []),
          ];
          for (const said of lines) {
            assert.ok(said, `${parameter.name} = ${value}`);
            if (said.index !== null) assert.equal(said.index, index);
            if (said.w !== null) assert.equal(compare(said.w, w), 0);
          }
          assert.equal(parameter.taper.decode(w), value);
          const question = readLine(parameter, index);
          if (question !== undefined) assert.equal(parseRead(parameter, question)?.index, index);
        }
  });

  test(`${profile.id}: every parameter has a vector, and every vector holds`, () => {
    const covered = new Set(
      profile.document.vectors.flatMap(({ set }) => Object.keys(set).map((k) => k.split('@')[0])),
    );
    assert.deepEqual(
      [...profile.params.keys()].filter((name) => !covered.has(name)),
      [],
    );
    for (const { set, tx, rx } of profile.document.vectors) {
      const [key, spelled] = Object.entries(set)[0]!;
      const [name = '', at] = key.split('@');
      const parameter = profile.params.get(name)!;
      const value = parameter.kind === 'bool' ? spelled === 'on' || spelled === true : spelled;
      const index = at === undefined ? null : Number(at.split('=')[1]);
      const w = parameter.taper.encode(value)!;
      assert.equal(setLine(parameter, index, w), tx);
      if (rx !== undefined) assert.equal(ackLine(parameter, index, w), rx);
    }
  });

  test(`${profile.id}: the safe state is legal and covers every hazard`, () => {
    checkSettings(profile, profile.safeState);
    for (const parameter of profile.params.values())
      if (parameter.hazard)
        assert.ok(
          Object.keys(profile.safeState).some((key) => key.split('@')[0] === parameter.name),
          parameter.name,
        );
  });
}
