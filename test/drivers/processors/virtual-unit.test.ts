import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { isOutboardError } from '../../../core/errors.js';
import type { PathModifier } from '../../../drivers/processors/path-modifier.js';
import type { UnitState } from '../../../drivers/processors/processor-unit.js';
import { loadProfiles, type Profile, parseProfile } from '../../../drivers/processors/profile.js';
import { createUnit } from '../../../drivers/processors/unit.js';
import {
  type AnswerFault,
  createVirtualTransport,
  type VirtualTransport,
} from '../../../drivers/processors/virtual-unit.js';
import { MATRIX } from './matrix-profile.js';
import { changed } from './started-unit.js';

const profiles = await loadProfiles();
const gain = profiles.get('virtual.gain')!;
const untouched = (): PathModifier => ({ gainDb: 99, muted: true, delaySeconds: 99 });

/** The wire as a person at a terminal sees it. */
async function terminal(transport: VirtualTransport) {
  let text = '';
  let heard = (): void => undefined;
  const link = await transport.open(
    {
      data: (bytes) => {
        text += Buffer.from(bytes).toString('latin1');
        heard();
      },
      lost: () => undefined,
    },
    new AbortController().signal,
  );
  return {
    type: (line: string) => link.write(Buffer.from(line, 'latin1')),
    /** What came, once it ends like this. */
    sees: (end: string) =>
      new Promise<string>((resolve) => {
        heard = () => {
          if (!text.endsWith(end)) return;
          resolve(text);
          text = '';
        };
        heard();
      }),
  };
}

test('a simulated gain speaks its profile line by line', async () => {
  const transport = createVirtualTransport(gain, untouched());
  const { type, sees } = await terminal(transport);
  const talk: [string, string][] = [
    ['ID?\r', 'ID virtual.gain 1\r\n'],
    ['GAIN?\r', 'GAIN +00.00\r\n'],
    ['GAIN -06.00\r', 'GAIN=-06.00\r\n'],
    ['GAIN?\r', 'GAIN -06.00\r\n'],
    ['GAIN +24.01\r', 'ERR RANGE\r\n'],
    ['GAIN 6\r', 'ERR COMMAND\r\n'],
    ['MUTE 1\r', 'MUTE=1\r\n'],
    ['MUTE 2\r', 'ERR RANGE\r\n'],
    ['gain?\r', 'ERR COMMAND\r\n'],
    ['MUTE?\rGAIN?\r', 'MUTE 1\r\nGAIN -06.00\r\n'],
  ];
  for (const [command, answer] of talk) {
    await type(command);
    assert.equal(await sees(answer), answer);
  }
  await type('GA');
  await type('IN?\r');
  assert.equal(await sees('\n'), 'GAIN -06.00\r\n');
});

test('a unit without command terminators acts when a command is whole', async () => {
  const transport = createVirtualTransport(parseProfile(MATRIX, 'm'), untouched());
  const { type, sees } = await terminal(transport);
  await type('N7*9g7');
  await type('G17*1G1*99V');
  assert.equal(await sees('E13\r\nE13\r\n'), '60-330-16\r\nIn07 Aud-09\r\n-09\r\nE13\r\nE13\r\n');
});

test('what a unit links is recalled together, step by step, and read back from both', async (t) => {
  const text = changed(
    MATRIX,
    ['axes: {in: {from: 1, to: 16}', 'axes: {in: {from: 1, to: 16, link: [[1, 2]]}'],
    ['settleMs: 3, hazard: level}', 'slew: {maxStep: 4, everyMs: 1}, hazard: level}'],
  );
  const profile = parseProfile(text, 'linked');
  const transport = createVirtualTransport(profile, untouched());
  const unit = createUnit({ name: 'm-1', profile, transport });
  t.after(() => unit.stop());
  await unit.start(new AbortController().signal);
  const both = { 'inGain@in=1': 9, 'inGain@in=2': 9 };
  const recalled = await unit.recall(both);
  assert.deepEqual(
    recalled.map(({ readBack, state }) => [readBack, state]),
    [
      [9, 'verified'],
      [9, 'verified'],
    ],
  );
  assert.equal(transport.unit.value('inGain@in=3'), 0);
  transport.localChange('inGain@in=2', 3);
  const now = await unit.readBack(both);
  assert.deepEqual(
    now.map(({ readBack }) => readBack),
    [3, 3],
    'the knob of one moves both',
  );
});

test('a setting moves the simulated path', async (t) => {
  const modifier = untouched();
  const transport = createVirtualTransport(gain, modifier);
  assert.deepEqual(modifier, { gainDb: 0, muted: false, delaySeconds: 99 }, 'at power-up, and only what it drives');
  const unit = createUnit({ name: 'eq-1', profile: gain, transport });
  t.after(() => unit.stop());
  await unit.start(new AbortController().signal);
  await unit.recall({ gain: -6.25, mute: true });
  assert.deepEqual(modifier, { gainDb: -6.25, muted: true, delaySeconds: 99 });
  await unit.safe();
  assert.deepEqual(modifier, { gainDb: 0, muted: false, delaySeconds: 99 });
});

test('a delay is driven in seconds, and several gains add up', async (t) => {
  const delayed = untouched();
  const delay = createUnit({
    name: 'd',
    profile: profiles.get('virtual.delay')!,
    transport: createVirtualTransport(profiles.get('virtual.delay')!, delayed),
  });
  t.after(() => delay.stop());
  await delay.start(new AbortController().signal);
  await delay.recall({ delay: 12.5 });
  assert.deepEqual(delayed, { gainDb: 99, muted: true, delaySeconds: 0.0125 });
  const path = untouched();
  const matrix = parseProfile(MATRIX, 'm');
  const unit = createUnit({ name: 'm', profile: matrix, transport: createVirtualTransport(matrix, path) });
  t.after(() => unit.stop());
  await unit.start(new AbortController().signal);
  await unit.recall({ 'inGain@in=1': 6, 'inGain@in=2': 20, 'outVol@out=1': -14, 'mute@out=1': false });
  assert.deepEqual(path, { gainDb: -8, muted: false, delaySeconds: 99 });
});

async function running(t: TestContext, profile: Profile = gain) {
  const modifier = untouched();
  const transport = createVirtualTransport(profile, modifier);
  const unit = createUnit({ name: 'eq-1', profile, transport, backoff: { baseMs: 2, maxMs: 5 } });
  t.after(() => unit.stop());
  await unit.start(new AbortController().signal);
  const becomes = (wanted: UnitState): Promise<void> =>
    new Promise((resolve) => {
      if (unit.state === wanted) return resolve();
      const off = unit.onState((state) => {
        if (state !== wanted) return;
        off();
        resolve();
      });
    });
  return { modifier, transport, unit, becomes };
}

const text = (line: string): Uint8Array => Buffer.from(line, 'latin1');
const overcome: Record<string, AnswerFault> = {
  late: { kind: 'late', ms: 300 },
  partial: { kind: 'partial', bytes: 4 },
  garbage: { kind: 'instead', bytes: Uint8Array.of(0, 255, 13, 10, 7) },
  'garbage in front': { kind: 'before', bytes: text('~~\r\n') },
  silent: { kind: 'silent' },
  deaf: { kind: 'deaf' },
  busy: { kind: 'busy' },
  'wrong value': { kind: 'instead', bytes: text('GAIN=+20.00\r\n') },
  endless: { kind: 'instead', bytes: Buffer.alloc(10_000, 'x') },
};
for (const [name, fault] of Object.entries(overcome))
  test(`an answer that is ${name} is overcome`, async (t) => {
    const { unit, transport, modifier } = await running(t);
    transport.inject(fault);
    const [recalled] = await unit.recall({ gain: -6 });
    assert.deepEqual([recalled?.readBack, recalled?.state], [-6, 'verified']);
    assert.equal(modifier.gainDb, -6);
    assert.equal(unit.state, 'ready');
  });

test('a unit that restarts loses its settings, says so, and comes back', async (t) => {
  const { unit, transport, becomes } = await running(t);
  await unit.recall({ gain: -6 });
  const told = new Promise((resolve) => unit.onLocalChange(resolve));
  const lost = becomes('lost');
  transport.reboot();
  await lost;
  assert.deepEqual(await told, { means: 'reboot', line: 'HELLO virtual.gain' });
  await becomes('ready');
  const [now] = await unit.readBack({ gain: -6 });
  assert.deepEqual([now?.readBack, now?.state], [0, 'sent, unverified']);
});

test('a knob that is turned unannounced is found after the take, an announced one at once', async (t) => {
  const { unit, transport, modifier } = await running(t);
  await unit.recall({ gain: -6 });
  transport.localChange('gain', 3);
  assert.equal(modifier.gainDb, 3);
  const [after] = await unit.readBack({ gain: -6 });
  assert.deepEqual([after?.readBack, after?.state], [3, 'sent, unverified']);
  const told = new Promise((resolve) => unit.onLocalChange(resolve));
  transport.localChange('gain', 4, 'LOCAL GAIN +04.00');
  assert.deepEqual(await told, { means: 'local-change', line: 'LOCAL GAIN +04.00' });
});

test('a cable that is pulled is lost, absent, and found again', async (t) => {
  const { unit, transport, becomes } = await running(t);
  transport.inject({ kind: 'close' });
  await assert.rejects(unit.recall({ gain: 1 }), (error) => isOutboardError(error, 'processor.lost'));
  await becomes('ready');
  const absent = becomes('absent');
  transport.unplug();
  await absent;
  transport.plugged = true;
  await becomes('ready');
  assert.equal(transport.heard.at(-1), 'ID?');
});

test('the unit of another profile on the port is refused', async (t) => {
  const transport = createVirtualTransport(profiles.get('virtual.delay')!, untouched());
  const unit = createUnit({ name: 'eq-1', profile: gain, transport });
  t.after(() => unit.stop());
  await unit.start(new AbortController().signal);
  assert.equal(unit.state, 'refused');
  assert.deepEqual([...transport.heard], ['ID?']);
});

test('without read-back everything is "sent, unverified", during and after', async (t) => {
  const text = `${(await import('node:fs')).readFileSync(new URL('../../../../drivers/processors/profiles/virtual.gain.yaml', import.meta.url))}`;
  const blind = parseProfile(text.replaceAll('verify: {by: readback', 'verify: {by: none'), 'blind');
  const { unit, modifier } = await running(t, blind);
  const states = (list: { state: string; readBack?: unknown }[]) =>
    list.map(({ state, readBack }) => [state, readBack]);
  assert.deepEqual(states(await unit.recall({ gain: -6 })), [['sent, unverified', undefined]]);
  assert.deepEqual(states(await unit.readBack({ gain: -6 })), [['sent, unverified', undefined]]);
  assert.equal(modifier.gainDb, -6);
});
