/** What signed actions do, and when they are refused. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import type { Mode } from '../../../core/contract/index.js';
import { type SessionActionsContext, sessionActions } from '../../../daemon/rig/session-actions.js';

test('what an insert holds is said in maintenance only, by name and with the reason', () => {
  let mode: Mode = 'ready';
  const declared: unknown[] = [];
  const memory = { declare: (...said: unknown[]) => void declared.push(said) };
  const actions = sessionActions({ memory, mode: () => mode } as unknown as SessionActionsContext);
  const { handle, audited } = actions['maintenance.insert'];
  const holds = { insert: 'deck', tenant: 'tenant-next' };
  const request = { technician: 'technician.main', reason: 'new tape', seconds: 1, connection: new Socket(), holds };
  assert.throws(() => handle(request), { code: 'rig.mode' });
  mode = 'maintenance';
  handle(request);
  assert.deepEqual(declared, [[holds, 'technician.main', 'new tape']]);
  assert.deepEqual(audited(request), { holds });
  const { holds: _, ...mute } = request;
  assert.throws(() => handle(mute), { code: 'envelope.schema' });
});
