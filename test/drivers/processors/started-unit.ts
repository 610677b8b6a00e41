/** Units on a hand-written peer, for tests. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { within } from '../../../core/duration.js';
import { type ErrorCode, isOutboardError } from '../../../core/errors.js';
import type { ProcessorUnit, UnitState } from '../../../drivers/processors/processor-unit.js';
import { parseProfile } from '../../../drivers/processors/profile.js';
import type { Transport } from '../../../drivers/processors/transport.js';
import { createUnit } from '../../../drivers/processors/unit.js';
import { FakeMatrix } from './fake-peer.js';
import { MATRIX } from './matrix-profile.js';

const WAIT_MS = 60_000;

/** The text with each pair's first string, which must be there, replaced by its second. */
export function changed(text: string, ...pairs: [string, string][]): string {
  return pairs.reduce((now, [from, to]) => {
    assert.ok(now.includes(from), `the text has no ${from}`);
    return now.replace(from, () => to);
  }, text);
}

export async function startUnit(t: TestContext, text: string, transport: Transport): Promise<ProcessorUnit> {
  const profile = parseProfile(text, 'test.yaml');
  const unit = createUnit({ name: 'm-1', profile, transport, backoff: { baseMs: 5, maxMs: 20 } });
  t.after(() => unit.stop());
  await unit.start(new AbortController().signal);
  return unit;
}

/** A unit of the matrix profile, changed as the test wants, that has been identified. */
export async function startMatrix(
  t: TestContext,
  pairs: [string, string][] = [],
  prepare: (peer: FakeMatrix) => void = () => undefined,
): Promise<{ peer: FakeMatrix; unit: ProcessorUnit }> {
  const peer = new FakeMatrix();
  prepare(peer);
  return { peer, unit: await startUnit(t, changed(MATRIX, ...pairs), peer) };
}

/** Resolves when the unit is in one of these states, now or later. */
export async function becomes(unit: ProcessorUnit, ...wanted: UnitState[]): Promise<void> {
  let stop = (): void => undefined;
  const there = new Promise<void>((resolve) => {
    stop = unit.onState((state) => wanted.includes(state) && resolve());
    if (wanted.includes(unit.state)) resolve();
  });
  const late = () => new Error(`it is ${unit.state}, not ${wanted.join(' or ')}: ${unit.lastFault}`);
  await within(WAIT_MS, there, late).finally(stop);
}

export const failsWith =
  (code: ErrorCode, message = /./) =>
  (error: unknown) => {
    assert.ok(isOutboardError(error, code), `${String(error)} is not ${code}`);
    assert.match(error.message, message);
    return true;
  };
