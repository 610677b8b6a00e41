/** Every error code has its entry in docs/troubleshooting.md, every entry a code, and each says its exit status and what to do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS, type ErrorCode } from '../../core/error-codes.js';

const text = readFileSync(new URL('../../../docs/troubleshooting.md', import.meta.url), 'utf8');

/** What stands under each `### code`. */
const entries = new Map(
  text
    .split(/^### /m)
    .slice(1)
    .map((part): [string, string] => {
      const end = part.indexOf('\n');
      return [part.slice(0, end).trim(), part.slice(end).split(/^## /m)[0]!.trim()];
    }),
);

test('every code has an entry', () => {
  assert.deepEqual(
    Object.keys(ERRORS).filter((code) => !entries.has(code)),
    [],
  );
});

test('every entry has a code, once', () => {
  assert.deepEqual(
    [...entries.keys()].filter((code) => !Object.hasOwn(ERRORS, code)),
    [],
  );
  assert.equal(entries.size, text.match(/^### /gm)!.length);
});

test('every entry says the exit status of the table and what to do', () => {
  for (const [code, entry] of entries) {
    const { exit } = ERRORS[code as ErrorCode];
    assert.ok(entry.startsWith(`Exit ${exit}. `), `${code}: begins with its exit status, ${exit}`);
    assert.match(entry, /^- Do: /m, `${code}: what to do`);
  }
});
