/** One sweep over every profile in the tree: what a profile promises is tried out, over its whole range. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, type Decimal } from '../../../drivers/processors/decimal.js';
import { indicesOf } from '../../../drivers/processors/parameter.js';
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
          const { codec, mirror } = parameter;
          const memory = { controllers: new Map<number, number>() };
          const said = codec.set(index, w).flatMap((frame) => mirror.heard(frame, memory, () => w));
          assert.equal(said.length, 1, `${parameter.name} = ${value}`);
          const answers = [
            said[0],
            ...(mirror.ack ? [codec.ack?.(mirror.ack(index, w))] : []),
            ...(mirror.reply && codec.read?.kind === 'ask' ? [codec.read.reply(mirror.reply(index, w))] : []),
          ];
          for (const answer of answers) {
            assert.ok(answer, `${parameter.name} = ${value}`);
            if (answer.index !== null) assert.equal(answer.index, index);
            if (answer.w !== null) assert.equal(compare(answer.w, w), 0);
          }
          assert.equal(parameter.taper.decode(w), value);
          if (codec.read?.kind === 'ask') assert.equal(mirror.asked?.(codec.read.tx(index))?.index, index);
        }
  });

  test(`${profile.id}: every parameter has a vector`, () => {
    const covered = new Set(
      profile.document.vectors.flatMap(({ set }) => Object.keys(set).map((k) => k.split('@')[0])),
    );
    assert.deepEqual(
      [...profile.params.keys()].filter((name) => !covered.has(name)),
      [],
    );
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
