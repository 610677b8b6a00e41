/** The reader of mosquitto's access list: it answers as mosquitto would for the list that \`outboard init\` makes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isOutboardError } from '../../../core/errors.js';
import { coversFilter, parseAccessList } from '../../../daemon/cli/access-list.js';
import { mosquittoAcl } from '../../../daemon/cli/mosquitto-conf.js';

const list = parseAccessList(
  mosquittoAcl({
    rigs: ['rig-01', 'rig-02'],
    dispatchers: ['dispatcher.demo', 'dispatcher.other'],
    keepers: ['keeper.demo'],
    monitors: ['monitor.demo'],
  }),
);
const t = 'outboard/v1';

/** Who, what, which topic or filter, allowed? */
const CASES: readonly [string, 'write' | 'read', string, boolean][] = [
  ['rig-01', 'read', `${t}/rig-01/offer`, true],
  ['rig-01', 'read', `${t}/rig-01/control`, true],
  ['rig-01', 'read', `${t}/trust`, true],
  ['rig-01', 'read', `${t}/rig-02/offer`, false],
  ['rig-01', 'read', `${t}/+/offer`, false],
  ['rig-01', 'read', `${t}/rig-01/#`, false],
  ['rig-01', 'read', '#', false],
  ['rig-01', 'write', `${t}/rig-01/event/dispatcher.demo`, true],
  ['rig-01', 'write', `${t}/rig-01/state`, true],
  ['rig-01', 'write', `${t}/rig-01/health/host`, true],
  ['rig-01', 'write', `${t}/rig-02/state`, false],
  ['rig-01', 'write', `${t}/rig-01/offer`, false],
  ['rig-01', 'write', `${t}/trust`, false],
  ['dispatcher.demo', 'write', `${t}/rig-01/offer`, true],
  ['dispatcher.demo', 'write', `${t}/rig-01/control`, true],
  ['dispatcher.demo', 'write', `${t}/rig-01/state`, false],
  ['dispatcher.demo', 'write', `${t}/trust`, false],
  ['dispatcher.demo', 'read', `${t}/+/event/dispatcher.demo`, true],
  ['dispatcher.demo', 'read', `${t}/rig-01/event/dispatcher.other`, false],
  ['dispatcher.demo', 'read', `${t}/rig-01/event/+`, false],
  ['dispatcher.demo', 'read', `${t}/rig-01/offer`, false],
  ['dispatcher.demo', 'read', `${t}/rig-01/state`, true],
  ['keeper.demo', 'write', `${t}/trust`, true],
  ['keeper.demo', 'write', `${t}/rig-01/offer`, false],
  ['keeper.demo', 'read', `${t}/rig-01/event/dispatcher.demo`, false],
  ['monitor.demo', 'read', `${t}/+/health/#`, true],
  ['monitor.demo', 'read', `${t}/rig-01/alert`, true],
  ['monitor.demo', 'read', `${t}/rig-01/event/dispatcher.demo`, false],
  ['monitor.demo', 'write', `${t}/rig-01/state`, false],
  ['technician.demo', 'read', `${t}/rig-01/state`, false],
  ['stranger', 'write', `${t}/rig-01/offer`, false],
];

for (const [user, access, topic, allowed] of CASES)
  test(`${user} may ${allowed ? '' : 'not '}${access} ${topic}`, () => {
    assert.equal(access === 'write' ? list.mayWrite(user, topic) : list.mayRead(user, topic), allowed);
  });

test('a topic with wildcards is never published to', () => {
  assert.equal(list.mayWrite('rig-01', `${t}/rig-01/event/#`), false);
  assert.equal(list.mayWrite('rig-01', `${t}/rig-01/event/+`), false);
});

test('a line that is not understood is refused with its number, never skipped', () => {
  for (const [text, line] of [
    ['user a\ntopic read x\ntopic deny x\n', 3],
    ['topic read x\n', 1],
    ['pattern read\n', 1],
  ] as const)
    assert.throws(
      () => parseAccessList(text),
      (error) => isOutboardError(error, 'config.invalid') && error.details['line'] === line,
    );
});

test('a filter covers another exactly when it matches every topic that the other matches', () => {
  const level = fc.constantFrom('a', 'b', '+');
  const filter = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([levels, open]) => (open ? [...levels, '#'] : levels).join('/'));
  // `c` stands for every word that no filter names; five levels are longer than any filter here.
  const topics: string[] = [];
  for (let depth = 1, longest = ['']; depth <= 5; depth++) {
    longest = longest.flatMap((head) => ['a', 'b', 'c'].map((word) => (head === '' ? word : `${head}/${word}`)));
    topics.push(...longest);
  }
  fc.assert(
    fc.property(filter, filter, (outer, inner) => {
      const whole = topics.filter((topic) => matches(inner, topic)).every((topic) => matches(outer, topic));
      assert.equal(coversFilter(outer, inner), whole, `${outer} over ${inner}`);
    }),
    { numRuns: 500 },
  );
});

/** MQTT 5 section 4.7.1, as a regular expression. */
function matches(filter: string, topic: string): boolean {
  const pattern = filter
    .split('/')
    .map((level) => (level === '+' ? '[^/]*' : level))
    .join('/')
    .replace(/\/#$/, '(/.*)?');
  return new RegExp(`^${pattern}$`).test(topic);
}
