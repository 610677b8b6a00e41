import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkListener } from '../../../drivers/processors/transport.js';
import { becomes, failsWith, startMatrix } from './started-unit.js';

const OUT_VOL = 'read: {tx: "{out}V", reply: "{w:02}"}, verify: {by: readback}, settleMs: 2, hazard: level}';
const SAFE = 'safe: {state';
const HOLD: [string, string] = [
  SAFE,
  `interlocks: [{changing: [outVol], before: {mute: "on"}, beforeSettleMs: 3, after: restore}]\n${SAFE}`,
];
/** Room for a stall of the host: whatever the test is not about takes its time. */
const PATIENT: [string, string] = ['replyMs: 60, quietMs: 5', 'replyMs: 30000, quietMs: 5'];

test('an interlock holds while something changes, only where it changes, and puts back what was there', async (t) => {
  const { peer, unit } = await startMatrix(t, [HOLD, PATIENT]);
  peer.values.set('V1', '20').set('V2', '30').set('Z1', '0');
  const recalled = await unit.recall({ 'outVol@out=1': -14, 'outVol@out=2': -34 });
  assert.deepEqual(peer.commands.slice(1), [
    ...['1V', '2V'], // what they have now
    '1Z', // what has to be put back
    '1*1Z',
    ...['1*50V', '2*30V'],
    '1*0Z',
    ...['1V', '2V', '1Z'], // and the proof of all of it
  ]);
  assert.deepEqual(
    recalled.map(({ name, state }) => [name, state]),
    [
      ['outVol@out=1', 'verified'],
      ['outVol@out=2', 'verified'],
    ],
  );
});

test('what an interlock holds gets the value that the settings name', async (t) => {
  const { peer, unit } = await startMatrix(t, [HOLD, PATIENT]);
  peer.values.set('Z1', '1').set('V1', '20');
  await unit.recall({ 'outVol@out=1': -14, 'mute@out=1': false });
  assert.deepEqual(
    peer.commands.slice(1).filter((c) => c.includes('*')),
    ['1*0Z', '1*1Z', '1*50V', '1*0Z'],
  );
  assert.equal(peer.values.get('Z1'), '0');
});

test('where nothing changes, nothing is held', async (t) => {
  const { peer, unit } = await startMatrix(t, [HOLD, PATIENT]);
  peer.values.set('V1', '50').set('Z1', '0');
  await unit.recall({ 'outVol@out=1': -14 });
  assert.deepEqual(peer.commands.slice(1), ['1V', '1*50V', '1V']);
});

test('a recall that fails behind an interlock leaves it holding', async (t) => {
  const { peer, unit } = await startMatrix(t, [HOLD, PATIENT]);
  peer.values.set('V1', '20').set('Z1', '0');
  peer.script = (command) => (command === '1*50V' ? ['E13'] : undefined);
  await assert.rejects(unit.recall({ 'outVol@out=1': -14 }), failsWith('processor.reply', /E13/));
  assert.equal(peer.values.get('Z1'), '1');
});

test('what cannot be put back because nobody knows what it was is refused before anything is sent', async (t) => {
  const blind: [string, string] = [
    'read: {tx: "{out}Z", reply: "{w}"}, verify: {by: readback}}',
    'verify: {by: none}}',
  ];
  const { peer, unit } = await startMatrix(t, [HOLD, PATIENT, blind]);
  await assert.rejects(unit.recall({ 'outVol@out=1': -14 }), failsWith('job.setting', /mute@out=1.*name it too/));
  assert.deepEqual(
    peer.commands.filter((c) => c.includes('*')),
    [],
  );
  await unit.recall({ 'outVol@out=1': -14, 'mute@out=1': false });
  assert.deepEqual(
    peer.commands.filter((c) => c.endsWith('Z')),
    ['1*0Z', '1*1Z', '1*0Z'],
  );
  // By now it is known what it was told.
  await unit.recall({ 'outVol@out=1': -15 });
  assert.equal(peer.values.get('Z1'), '0');
});

test('a change goes in steps from what the unit has now, and channels step together', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    ['settleMs: 3, hazard: level}', 'slew: {maxStep: 4, everyMs: 5}, hazard: level}'],
    PATIENT,
  ]);
  peer.values.set('G1', '-06').set('G2', '+08');
  const began = performance.now();
  await unit.recall({ 'inGain@in=1': 5, 'inGain@in=2': 1 });
  assert.deepEqual(peer.commands.slice(1), [
    ...['1G', '2G'],
    ...['1*2g', '2*4G'],
    ...['1*2G', '2*1G'],
    '1*5G',
    ...['1G', '2G'],
  ]);
  assert.ok(performance.now() - began >= 9, 'two pauses of 5 ms');
});

test('from an unknown place the one jump goes to where it does no harm', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    [
      'read: {tx: "{in}G", reply: "{w:+03}"}, verify: {by: readback, tolWire: 0}, settleMs: 3, hazard: level}',
      'verify: {by: ack}, slew: {maxStep: 4, everyMs: 1}, hazard: level}',
    ],
    PATIENT,
  ]);
  await unit.recall({ 'inGain@in=1': 9 });
  assert.deepEqual(peer.commands.slice(1), ['1*0G', '1*4G', '1*8G', '1*9G']);
  await unit.recall({ 'inGain@in=1': 3 });
  assert.deepEqual(peer.commands.slice(5), ['1*5G', '1*3G']);
});

test('the safe state goes straight, without steps and interlocks, and past what is refused', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    HOLD,
    ['settleMs: 3, hazard: level}', 'slew: {maxStep: 1, everyMs: 5}, hazard: level}'],
    PATIENT,
  ]);
  peer.values.set('G1', '+20').set('V3', '64');
  peer.script = (command) => (command === '2*0V' ? ['E13'] : undefined);
  await assert.rejects(unit.safe(), failsWith('processor.reply', /E13/));
  const sets = peer.commands.filter((c) => c.includes('*'));
  assert.equal(sets.length, 8 + 8 + 16, 'each is set once');
  assert.deepEqual([peer.values.get('G1'), peer.values.get('V3'), peer.values.get('Z8')], ['+00', '00', '1']);
  assert.equal(unit.state, 'ready');
});

test('a safe state that is not wanted any more gives the wire free behind the command in flight', async (t) => {
  const { peer, unit } = await startMatrix(t, [PATIENT, ['settleMs: 4, on', 'settleMs: 600000, on']]);
  const broken = async (at: (commands: string[]) => boolean) => {
    const unwanted = new AbortController();
    const reason = new Error('a job has come in');
    peer.script = () => {
      if (at(peer.commands)) setImmediate(() => unwanted.abort(reason));
      return undefined;
    };
    const before = peer.commands.length;
    await assert.rejects(unit.safe(unwanted.signal), (error) => error === reason);
    peer.script = () => undefined;
    assert.deepEqual([unit.state, unit.lastFault], ['ready', undefined]);
    return peer.commands.slice(before);
  };
  const inTheMiddle = await broken((commands) => commands.at(-1) === '2*0V');
  assert.ok(inTheMiddle.includes('1*0V') && !inTheMiddle.includes('8*0V'), inTheMiddle.join(' '));
  const atOnce = await unit.recall({ 'outVol@out=2': -14 });
  assert.equal(atOnce[0]!.state, 'verified');
  const whileItSettles = await broken((commands) => commands.filter((c) => /^\d+[GVZ]$/.test(c)).length > 32);
  assert.equal(whileItSettles.filter((c) => c.includes('*')).length, 8 + 8 + 16, 'all was set');
});

test('a need that the settings contradict is refused before anything is sent', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    [OUT_VOL, OUT_VOL.replace('settleMs: 2', 'needs: {mute: "off"}')],
    PATIENT,
  ]);
  await assert.rejects(
    unit.recall({ 'outVol@out=1': -14, 'mute@out=1': true }),
    failsWith('job.setting', /outVol@out=1 needs mute@out=1 to be false/),
  );
  assert.deepEqual(peer.commands, ['N']);
});

test('a need that is not named has to be met already', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    [OUT_VOL, OUT_VOL.replace('settleMs: 2', 'needs: {mute: "off"}')],
    PATIENT,
  ]);
  peer.values.set('Z1', '1');
  await assert.rejects(
    unit.recall({ 'outVol@out=1': -14 }),
    failsWith('processor.unverified', /needs mute@out=1 to be false, and it is true/),
  );
  assert.deepEqual(peer.commands.slice(1), ['1Z']);
  peer.values.set('Z1', '0');
  await unit.recall({ 'outVol@out=1': -14 });
  assert.deepEqual(peer.commands.slice(2), ['1Z', '1*50V', '1V']);
});

test('a need that is named is set first, whatever the order of the profile', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    [OUT_VOL, OUT_VOL.replace('settleMs: 2', 'needs: {mute: "off"}')],
    ['order: [lock, mute, "*"]', 'order: [lock, outVol, "*"]'],
    PATIENT,
  ]);
  peer.values.set('Z1', '1');
  await unit.recall({ 'outVol@out=1': -14, 'mute@out=1': false });
  assert.deepEqual(
    peer.commands.filter((c) => c.includes('*')),
    ['1*0Z', '1*50V'],
  );
});

test('settling is computed from the change', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    ['settleMs: 3, hazard: level}', 'settlePer: {base: 20, perUnit: 30}, hazard: level}'],
    PATIENT,
  ]);
  const settled = async (value: number): Promise<number> => {
    const began = performance.now();
    await unit.recall({ 'inGain@in=1': value });
    return performance.now() - began - unit.lastWireMs;
  };
  peer.values.set('G1', '+10');
  assert.ok((await settled(-10)) >= 20 + 20 * 30 - 1);
  assert.ok((await settled(-8)) >= 20 + 2 * 30 - 1);
  assert.ok((await settled(-8)) < 600, 'nothing changed');
});

test('a unit that takes its time is asked until it is there', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    ['verify: {by: readback, tolWire: 0}', 'verify: {by: readback, withinMs: 60000}'],
    PATIENT,
  ]);
  let asked = 0;
  peer.script = (command) => (command === '1G' ? [`+0${Math.min(9, ++asked)}`] : undefined);
  const [recalled] = await unit.recall({ 'inGain@in=1': 9 });
  assert.deepEqual([recalled?.readBack, recalled?.state, asked], [9, 'verified', 9]);
});

const NEVER_THERE: [string, string] = [
  'verify: {by: readback, tolWire: 0}, settleMs: 3',
  'verify: {by: readback, withinMs: 600000}, settleMs: 3',
];
for (const [what, pair] of Object.entries({
  'to get there': NEVER_THERE,
  'for the next step': ['settleMs: 3, hazard', 'slew: {maxStep: 1, everyMs: 600000}, settleMs: 3, hazard'],
  'to settle': ['settleMs: 3, hazard', 'settleMs: 600000, hazard'],
} satisfies Record<string, [string, string]>))
  test(`a recall that nobody wants any more ends although it waits ${what}`, async (t) => {
    const { peer, unit } = await startMatrix(t, [pair, PATIENT]);
    const wanted = new AbortController();
    const reason = new Error('nobody wants it');
    peer.values.set('G1', '+00');
    peer.script = (command) => {
      if (command.startsWith('1*')) setTimeout(() => wanted.abort(reason), 50);
      return command === '1G' && pair === NEVER_THERE ? ['+00'] : undefined;
    };
    await assert.rejects(unit.recall({ 'inGain@in=1': 9 }, wanted.signal), reason);
    assert.equal(unit.state, 'ready');
    assert.equal(unit.lastFault, undefined, 'it is no fault of the unit');
    peer.commands.length = 0;
    await assert.rejects(unit.recall({ 'inGain@in=1': 9 }, wanted.signal), reason);
    assert.deepEqual(peer.commands, []);
  });

test('a recall that nobody wants any more is not tried again, and an answer that comes late is for nobody', async (t) => {
  const { peer, unit } = await startMatrix(t, [['replyMs: 60, quietMs: 5', 'replyMs: 300, quietMs: 5']]);
  const told: string[] = [];
  unit.onLocalChange(({ line }) => told.push(line));
  const wanted = new AbortController();
  const reason = new Error('nobody wants it');
  peer.script = (command) => {
    if (command !== '1*9G') return undefined;
    wanted.abort(reason);
    setTimeout(() => peer.say('In01 Aud+09'), 330);
    return [];
  };
  await assert.rejects(unit.recall({ 'inGain@in=1': 9 }, wanted.signal), reason);
  await unit.safe();
  assert.deepEqual(
    peer.commands.filter((command) => command === '1*9G'),
    ['1*9G'],
  );
  assert.deepEqual(told, []);
});

test('the safe state does not wait for a recall that is on its way', async (t) => {
  const { peer, unit } = await startMatrix(t, [NEVER_THERE, PATIENT]);
  const waits = new Promise<void>((resolve) => {
    peer.script = (command) => {
      if (command === '1*9G') resolve();
      return command === '1G' ? ['+00'] : undefined;
    };
  });
  const recalling = assert.rejects(
    unit.recall({ 'inGain@in=1': 9 }),
    failsWith('processor.unverified', /given up for the safe state/),
  );
  await waits;
  const safe = await unit.safe();
  await recalling;
  assert.ok(safe.every(({ state }) => state === 'verified'));
  assert.equal(peer.values.get('V1'), '00');
});

test('a session begins before the first setting and ends when the unit is stopped', async (t) => {
  const { peer, unit } = await startMatrix(
    t,
    [
      ['axes: {in', 'session: {begin: [{tx: 3X, rx: "^Exe3$"}], end: [{tx: 4X, rx: "^Exe4$"}]}\naxes: {in'],
      ['bootMs: 5', 'session: {begin: [Exe3], end: [Exe4]}\n  bootMs: 5'],
      PATIENT,
    ],
    (peer) => {
      peer.script = (command) => (/^[34]X$/.test(command) ? [`Exe${command[0]}`] : undefined);
    },
  );
  assert.deepEqual(peer.commands, ['N', '3X']);
  await unit.recall({ 'inGain@in=1': 9 });
  await unit.stop();
  assert.equal(peer.commands.at(-1), '4X');
  assert.equal(peer.commands.filter((c) => c.endsWith('X')).length, 2);
  assert.equal(unit.state, 'absent');
});

test('a session that the unit does not let begin keeps the unit from being ready', async (t) => {
  const { peer, unit } = await startMatrix(t, [
    ['axes: {in', 'session: {begin: [{tx: 3X, rx: "^Exe3$"}]}\naxes: {in'],
    ['bootMs: 5', 'session: {begin: [Exe3]}\n  bootMs: 5'],
  ]);
  assert.equal(unit.state, 'lost');
  assert.match(unit.lastFault?.message ?? '', /E10|Exe3|3X/);
  await assert.rejects(unit.recall({ 'inGain@in=1': 9 }), failsWith('processor.lost'));
  peer.script = (command) => (command === '3X' ? ['Exe3'] : undefined);
  await becomes(unit, 'ready');
});

const BEAT: [string, string][] = [
  ['axes: {in', 'session: {keepAlive: {tx: Q, rx: "^\\\\d\\\\.\\\\d\\\\d$", everyMs: 100}}\naxes: {in'],
  ['bootMs: 5', 'session: {keepAlive: "1.23"}\n  bootMs: 5'],
];

test('a unit is told again and again that somebody is there', async (t) => {
  const { peer, unit } = await startMatrix(t, [...BEAT, PATIENT]);
  let beats = 0;
  await new Promise<void>((resolve) => {
    peer.script = (command) => {
      if (command !== 'Q') return undefined;
      if (++beats === 3) resolve();
      return ['1.23'];
    };
  });
  assert.equal(unit.state, 'ready');
});

test('a unit that leaves the beat unanswered is lost, although nobody closed the port', async (t) => {
  const { unit } = await startMatrix(t, BEAT, (peer) => {
    peer.script = (command) => (command === 'Q' ? [] : undefined);
  });
  await becomes(unit, 'lost');
  assert.equal(unit.lastFault?.code, 'processor.timeout');
});

test('a declared echo is taken off, also where it runs into the answer', async (t) => {
  const { peer, unit } = await startMatrix(t, [['echo: none', 'echo: command'], PATIENT], (peer) => {
    const answers = new Map([
      ['N', '60-330-16'],
      ['1*9G', 'In01 Aud+09'],
      ['1G', '+09'],
    ]);
    peer.script = (command) => (command === '1L' ? ['1L'] : [`${command}${answers.get(command)}`]);
  });
  assert.equal(unit.state, 'ready');
  const recalled = await unit.recall({ 'inGain@in=1': 9, lamp: true });
  assert.deepEqual(
    recalled.map(({ state }) => state),
    ['verified', 'sent, unverified'],
  );
  assert.deepEqual(peer.commands.slice(1), ['1*9G', '1L', '1G']);
});

test('what was repeated wrongly is not believed, whatever the answer', async (t) => {
  const { peer, unit } = await startMatrix(t, [['echo: none', 'echo: command']], (peer) => {
    peer.script = (command) => (command === 'N' ? ['N60-330-16'] : command === '2G' ? ['1G+05'] : [command]);
  });
  await assert.rejects(unit.readBack({ 'inGain@in=2': 9 }), failsWith('processor.reply', /"2G" as "1G\+05"/));
  assert.ok(peer.commands.filter((c) => c === '2G').length > 1);
});

test('the right answer to a command that was not repeated is not believed', async (t) => {
  const { unit } = await startMatrix(t, [['echo: none', 'echo: command']], (peer) => {
    peer.script = (command) => (command === 'N' ? ['N60-330-16'] : ['+09']);
  });
  await assert.rejects(unit.readBack({ 'inGain@in=2': 9 }), failsWith('processor.reply', /"2G" as "\+09"/));
});

test('what is said last has left before the port is closed', async (t) => {
  let [leftAtMs, closedAtMs] = [0, 0];
  const session = ['errors: [', 'session: {end: [{tx: 0X}]}\nerrors: ['] as [string, string];
  const { peer, unit } = await startMatrix(t, [PATIENT, session], (peer) => {
    const open = peer.open.bind(peer);
    t.mock.method(peer, 'open', async (listener: LinkListener) => {
      const link = await open(listener);
      return {
        write: async (bytes: Uint8Array) => {
          await link.write(bytes);
          leftAtMs = performance.now() + 100;
          return leftAtMs;
        },
        close: async () => {
          closedAtMs = performance.now();
          await link.close();
        },
      };
    });
    peer.script = (command) => (command === '0X' ? [] : undefined);
  });
  await unit.stop();
  assert.equal(peer.commands.at(-1), '0X');
  assert.ok(closedAtMs >= leftAtMs, `${leftAtMs - closedAtMs} ms too early`);
});

test('who the unit is can be asked again; another unit is refused then', async (t) => {
  const { peer, unit } = await startMatrix(t);
  assert.deepEqual(unit.identity, { part: '60-330-16' });
  assert.deepEqual(await unit.identify(), { part: '60-330-16' });
  peer.part = '60-330-99';
  await assert.rejects(unit.identify(), failsWith('processor.identity', /60-330-99/));
  assert.equal(unit.state, 'refused');
  assert.equal(unit.identity, undefined);
});
