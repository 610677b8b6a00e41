import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalBytes } from '../../core/canonical.js';
import { OutboardError } from '../../core/errors.js';

describe('an error as it is told', () => {
  it('can always be signed, whatever is in it (property)', () => {
    const anything = fc.anything({ withBigInt: true, withNullPrototype: false });
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, fc.dictionary(fc.constantFrom('value', 'path'), anything), (message, details) => {
        canonicalBytes(new OutboardError('internal', message, { details }).toJSON());
      }),
    );
  });

  it('spells out what JSON has no word for, and cuts what is too long', () => {
    const told = new OutboardError('insert.noisy', 'noise', {
      details: { rmsDbfs: [-Infinity, -3], name: 'x\ud800y' },
    }).toJSON();
    assert.deepEqual(told.details, { rmsDbfs: ['-Infinity', -3], name: 'x\ufffdy' });
    const long = new OutboardError('internal', 'm'.repeat(5000), { details: { all: 'd'.repeat(100_000) } }).toJSON();
    assert.ok(JSON.stringify(long).length < 4000);
  });
});
