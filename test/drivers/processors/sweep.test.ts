/** One sweep over every profile in the tree: what a profile promises is tried out, over its whole range and through a simulated unit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SettingValue } from '../../../core/contract/primitives.js';
import { compare, type Decimal, decimalOf } from '../../../drivers/processors/decimal.js';
import { indicesOf, type Parameter } from '../../../drivers/processors/parameter.js';
import {
  bindProfile,
  compileProfile,
  loadProfiles,
  type Profile,
  parseProfile,
} from '../../../drivers/processors/profile.js';
import { checkSettings, settingKey } from '../../../drivers/processors/settings.js';
import { createUnit } from '../../../drivers/processors/unit.js';
import { type AnswerFault, createVirtualTransport } from '../../../drivers/processors/virtual-unit.js';
import { SKELETON } from './documented-skeleton.js';
import { becomes } from './started-unit.js';

const skeleton = parseProfile(SKELETON, 'docs/profiles.md');
// Whoever follows docs/profiles.md has one unit more than the house, and this sweep has to be theirs too.
const profiles = new Map([...(await loadProfiles()), [skeleton.id, skeleton]]);

test('the units that the house promises have profiles', () => {
  const promised = [
    'aphex.1788a',
    'avid.pre',
    'cmlabs.sixtyfour',
    'elektron.analog-heat-fx',
    'extron.crosspoint300-hva',
    'mmc.transport',
    'rme.micstasy',
    'sony.9pin',
    'tascam.rs232c',
    'weinschel.8210a',
  ];
  const real = [...profiles.values()].filter(({ transport }) => transport.kind !== 'virtual').map(({ id }) => id);
  assert.deepEqual(
    promised.filter((id) => !real.includes(id)),
    [],
  );
});

/** The messages that set w, on a unit that had `before`. */
function commands({ codec, place }: Parameter, profile: Profile, index: number | null, w: Decimal, before: Decimal) {
  const name = codec.modifies?.(index);
  if (name === undefined) return codec.set(index, w);
  const bytes = new Map<number, number>();
  place?.put(index, before, bytes);
  return codec.set(index, w, profile.dumps.get(name)?.make(bytes));
}

for (const profile of profiles.values()) {
  test(`${profile.id}: every value of the range comes back from every message`, () => {
    for (const parameter of profile.params.values())
      for (const index of indicesOf(parameter))
        for (const value of parameter.taper.sample(5000)) {
          const { codec, mirror, place } = parameter;
          const w = parameter.taper.encode(value) as Decimal;
          const what = `${settingKey(parameter, index)} = ${value}`;
          assert.equal(parameter.taper.decode(w), value, what);
          // The drivers have tests of their own.
          if (codec.driver !== undefined) continue;
          const before = parameter.taper.encode(parameter.taper.sample(2).at(-1) as SettingValue) as Decimal;
          const memory = { controllers: new Map<number, number>() };
          const heard = commands(parameter, profile, index, w, before).map((frame) =>
            mirror.heard(frame, memory, () => before),
          );
          const answers = [
            heard.at(-1)?.find((said) => said.index === index),
            ...(mirror.ack ? [codec.ack?.(mirror.ack(index, w))] : []),
            ...(mirror.reply && codec.read?.kind === 'ask' ? [codec.read.reply(mirror.reply(index, w))] : []),
          ];
          for (const answer of answers) {
            assert.ok(answer, what);
            if (answer.index !== null) assert.equal(answer.index, index, what);
            if (answer.w !== null) assert.equal(compare(answer.w, w), 0, what);
          }
          if (codec.read?.kind === 'ask') assert.equal(mirror.asked?.(codec.read.tx(index))?.index, index);
          if (codec.read?.kind !== 'dump') continue;
          const dump = profile.dumps.get(codec.read.dump(index));
          const bytes = new Map<number, number>();
          place?.put(index, w, bytes);
          const read = dump?.value(parameter, index, dump.make(bytes));
          assert.equal(read && parameter.taper.decode(read), value, what);
        }
  });

  test(`${profile.id}: every parameter has a vector`, () => {
    const covered = new Set(
      profile.document.vectors.flatMap(({ set }) => Object.keys(set).map((k) => k.split('@')[0])),
    );
    // A route of the SixtyFour is sixty messages; its driver's test has them.
    const missing = [...profile.params.values()].filter(({ name, kind, codec }) => {
      return !covered.has(name) && !(kind === 'route' && codec.driver !== undefined);
    });
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
    );
  });

  test(`${profile.id}: the safe state is legal and covers every hazard`, () => {
    checkSettings(profile, profile.safeState);
    for (const parameter of profile.params.values())
      for (const index of parameter.hazard === undefined ? [] : indicesOf(parameter))
        assert.ok(Object.hasOwn(profile.safeState, settingKey(parameter, index)), settingKey(parameter, index));
  });

  if (profile.transport.kind !== 'virtual')
    test(`${profile.id}: it says where it comes from and how sure it is`, () => {
      assert.ok((profile.document.sources ?? []).length > 0, 'sources');
      assert.ok(profile.document.evidence, 'evidence');
    });

  test(`${profile.id}: a simulated unit takes every parameter and has what was asked for`, async (t) => {
    const hasty = withoutWaiting(profile);
    const modifier = { gainDb: 0, muted: false, delaySeconds: 0 };
    const transport = createVirtualTransport(hasty, modifier);
    const unit = createUnit({ name: 'unit', profile: hasty, transport });
    t.after(() => unit.stop());
    await unit.start(new AbortController().signal);
    assert.equal(unit.state, 'ready', unit.lastFault?.message);
    await unit.safe();
    for (const parameter of hasty.params.values()) {
      const index = indicesOf(parameter).at(-1) ?? null;
      const key = settingKey(parameter, index);
      for (const value of ends(parameter)) {
        const recalled = (await unit.recall({ [key]: value })).find(({ name }) => name === key);
        const verified = ['readback', 'dump'].includes(parameter.verifyBy);
        assert.equal(recalled?.state, verified ? 'verified' : 'sent, unverified', `${key} = ${value}`);
        assert.equal(transport.unit.value(key), value, key);
      }
    }
    await unit.safe();
    for (const [key, value] of Object.entries(hasty.safeState)) assert.equal(transport.unit.value(key), value, key);
    await unit.stop();
    for (const [key, value] of Object.entries(hasty.panel.free))
      assert.equal(transport.unit.value(key), value, `${key}: the panel is people's when the rig has gone`);
  });
}

for (const profile of profiles.values())
  for (const fault of profile.document.sim.faults ?? [])
    test(`${profile.id}: what this model is known to do (${fault}) is got over, or found`, async (t) => {
      const hasty = withoutWaiting(profile, { replyMs: 500, retries: 5 });
      const transport = createVirtualTransport(hasty, { gainDb: 0, muted: false, delaySeconds: 0 });
      const unit = createUnit({ name: 'unit', profile: hasty, transport, backoff: { baseMs: 5, maxMs: 20 } });
      t.after(() => unit.stop());
      await unit.start(new AbortController().signal);
      const parameter = [...hasty.params.values()].find(
        ({ kind, verifyBy }) => kind !== 'route' && verifyBy !== 'none',
      );
      assert.ok(parameter);
      const key = settingKey(parameter, indicesOf(parameter).at(-1) ?? null);
      const [value, other] = ends(parameter) as [SettingValue, SettingValue];
      const recalled = async () => (await unit.recall({ [key]: value })).find(({ name }) => name === key)?.state;
      if (fault === 'local-change') {
        assert.equal(await recalled(), 'verified');
        transport.localChange(key, other);
        const [after] = await unit.readBack({ [key]: value });
        assert.deepEqual([after?.readBack, after?.state], [other, 'sent, unverified']);
      } else if (fault === 'reboot') {
        transport.inject({ kind: 'reboot' });
        await assert.rejects(recalled());
        await becomes(unit, 'ready');
        assert.notEqual(transport.unit.value(key), value, 'nobody sets it again by himself');
        assert.equal(await recalled(), 'verified');
      } else {
        transport.inject(faultOf(fault));
        assert.equal(await recalled(), 'verified');
        assert.equal(transport.unit.value(key), value);
      }
    });

function faultOf(kind: 'late' | 'partial' | 'silent' | 'deaf' | 'busy'): AnswerFault {
  if (kind === 'late') return { kind, ms: 700 };
  return kind === 'partial' ? { kind, bytes: 1 } : { kind };
}

/** Both ends of the range, and what lies in the middle. */
function ends({ taper }: Parameter): SettingValue[] {
  const all = taper.sample(3);
  return [...new Set([all.at(-1), all[0], all[Math.floor(all.length / 2)]])] as SettingValue[];
}

/** The same unit with all its waiting taken out: what is left is what it says. */
function withoutWaiting(profile: Profile, pacing: Partial<Profile['pacing']> = {}): Profile {
  const document = structuredClone(profile.document);
  for (const param of Object.values(document.params)) {
    param.settleMs = 0;
    if (param.slew !== undefined) param.slew.everyMs = 0;
  }
  for (const interlock of document.interlocks ?? []) interlock.beforeSettleMs = 0;
  document.safe.settleMs = 0;
  document.sim.replyMs = [0, 0];
  document.pacing = { ...document.pacing, gapMs: 0, quietMs: 5, replyMs: 30_000, bytesPerSec: 1_000_000, ...pacing };
  return compileProfile(document);
}

test('a profile bound to other variables speaks with them, and keeps its hash', () => {
  const heat = profiles.get('elektron.analog-heat-fx') as Profile;
  const bound = bindProfile(heat, { ch: 3 });
  assert.equal(bound.params.get('eqLow')?.codec.set(null, decimalOf(5))[0], '\xb2\x1c\x05');
  assert.equal(heat.params.get('eqLow')?.codec.set(null, decimalOf(5))[0], '\xb0\x1c\x05');
  assert.equal(bound.hash, heat.hash);
  const preamp = bindProfile(profiles.get('aphex.1788a') as Profile, { dev: 3, net: 128 });
  assert.equal(
    preamp.params.get('gain')?.codec.set(2, decimalOf(40))[0],
    '\xf0\x00\x00\x38\x00\x02\x7f\x00\x02\x28\xf7',
  );
  assert.equal(preamp.identity[0]?.tx, '\xf0\x00\x00\x38\x00\x02\x7f\x20\x01\x01\xf7');
});

test('on a port that several units share, the answer of another one is none', () => {
  const dump = (id: string, head: string) =>
    (profiles.get(id)!.document.sim.identity[0] as string).replace(/^(?:\S\S )+?(?=30|00 01|61)/, `${head} `);
  const frame = (text: string) => Buffer.from(text.replace(/ /g, ''), 'hex').toString('latin1');
  for (const [id, vars, mine, other] of [
    ['rme.micstasy', { bank: 1, dev: 2 }, 'F0 00 20 0D 68 12', 'F0 00 20 0D 68 02'],
    ['aphex.1788a', { ch: 2, dev: 3, net: 4 }, 'F0 00 00 38 01 02 03', 'F0 00 00 38 01 02 00'],
    ['cmlabs.sixtyfour', { ch: 5 }, 'B4', 'B0'],
  ] as const) {
    const { rx } = bindProfile(profiles.get(id) as Profile, vars).identity[0]!;
    assert.ok(rx.test(frame(dump(id, mine))), id);
    assert.ok(!rx.test(frame(dump(id, other))), id);
  }
});

test('a pattern takes variables of lines too, and only such as there are', () => {
  const { document } = profiles.get('virtual.gain')!;
  const vars = { dev: { type: 'int', min: 0, max: 99, default: 7 } };
  const named = (rx: string) =>
    compileProfile({ ...document, vars, errors: [...document.errors, { rx, as: 'busy' }] }).errors.at(-1)!.rx;
  assert.ok(named(String.raw`^U{dev:02} \p{Lu}{2}$`).test('U07 AB'));
  assert.ok(!named(String.raw`^U{dev:02} \p{Lu}{2}$`).test('U08 AB'));
  assert.throws(() => named('^U{unit}'), /errors\.\d+\.rx.*unit/);
});

test('a variable that there is not, or that is out of its range, is refused with what there is', () => {
  const heat = profiles.get('elektron.analog-heat-fx') as Profile;
  assert.throws(() => bindProfile(heat, { chan: 3 }), /no such variable; it has ch/);
  assert.throws(() => bindProfile(heat, { ch: 17 }), /1 to 16/);
  assert.throws(() => bindProfile(heat, { ch: 1.5 }), /whole number/);
});
