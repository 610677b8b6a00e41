/** What counts of the read-backs around a take, with profiles of the tree. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecalledSetting, SettingValue } from '../../../core/contract/index.js';
import { lasting, verifyAfterTake, verifyRecall } from '../../../daemon/rig/take-verification.js';
import { loadProfiles } from '../../../drivers/processors/profile.js';

const setting = (name: string, value: SettingValue, state: RecalledSetting['state'] = 'verified'): RecalledSetting => ({
  name,
  requested: value,
  sent: value,
  readBack: value,
  state,
});

test('what moves by itself, and what nobody could verify, need not last', async () => {
  const profile = (await loadProfiles()).get('sony.9pin')!;
  const recalled = [
    setting('local', false),
    setting('standby', true, 'sent, unverified'),
    setting('cue', 12),
    setting('transport', 'play'),
  ];
  const kept = lasting(profile, recalled);
  assert.deepEqual(
    kept.map(({ name }) => name),
    ['local', 'transport'],
  );
  const after = [setting('local', false), setting('cue', 14, 'sent, unverified'), setting('transport', 'play')];
  verifyAfterTake([{ processor: 'deck' }], [kept], [after]);
  const stopped = [setting('local', false), setting('transport', 'stop', 'sent, unverified')];
  assert.throws(() => verifyAfterTake([{ processor: 'deck' }], [kept], [stopped]), {
    code: 'take.drift',
    details: { processor: 'deck', setting: 'transport', readBack: 'stop' },
  });
  assert.throws(() => verifyAfterTake([{ processor: 'deck' }], [kept], [[setting('local', false)]]), {
    code: 'take.drift',
  });
});

test('a job that wants it verified gets no take of what is not', () => {
  const hop = (verify: 'required' | 'sent-ok') => ({ hops: [{ processor: 'box', verify }] }) as never;
  const recalled = [[setting('drive', 3, 'sent, unverified')]];
  verifyRecall(hop('sent-ok'), recalled);
  assert.throws(() => verifyRecall(hop('required'), recalled), { code: 'processor.unverified' });
});
