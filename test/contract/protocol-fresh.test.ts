/** The documents that are committed are the ones that the contract gives, and they hold together. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import * as contract from '../../core/contract/index.js';
import { protocolDocuments } from '../../scripts/protocol/documents.js';
import { staleFiles, writeFiles } from '../../scripts/protocol/folder.js';
import { contractSchemas, DOCUMENTS, references } from '../../scripts/protocol/schemas.js';

const folder = fileURLToPath(new URL('../../../docs/protocol/', import.meta.url));

test('docs/protocol is what the contract generates', () => {
  const stale = staleFiles(folder, protocolDocuments());
  assert.deepEqual(stale, [], 'stale: run `npm run docs` and commit the result');
});

test('the same contract gives the same bytes', () => {
  assert.deepEqual([...protocolDocuments()], [...protocolDocuments()]);
});

test('a changed, a missing and a left-over file are found stale, and are put right', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'outboard-protocol-'));
  try {
    const wanted = protocolDocuments();
    writeFiles(scratch, wanted);
    assert.deepEqual(staleFiles(scratch, wanted), []);
    await writeFile(join(scratch, 'asyncapi.yaml'), 'asyncapi: 3.0.0\n');
    await rm(join(scratch, 'schemas/JobPayload.json'));
    await writeFile(join(scratch, 'schemas/Gone.json'), '{}\n');
    const found = ['asyncapi.yaml', 'schemas/Gone.json', 'schemas/JobPayload.json'];
    assert.deepEqual(staleFiles(scratch, wanted), found);
    assert.deepEqual(writeFiles(scratch, wanted), found);
    assert.deepEqual(staleFiles(scratch, wanted), []);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
});

for (const name of ['asyncapi.yaml', 'openapi.yaml', ...DOCUMENTS.map((document) => `schemas/${document}.json`)])
  test(`${name} parses and each of its references resolves`, async () => {
    const document: unknown = parse(await readFile(join(folder, name), 'utf8'));
    const refs = references(document);
    if (name.endsWith('.yaml')) assert.ok(refs.length > 50, 'a protocol document without references');
    for (const ref of refs) assert.notEqual(resolvePointer(document, ref), undefined, `${ref} leads nowhere`);
  });

test('every payload, document and configuration has a schema file', () => {
  for (const name of Object.keys(contractSchemas()))
    if (/(Payload|Document)$/.test(name)) assert.ok(DOCUMENTS.includes(name), name);
  for (const name of ['RigConfig', 'CourierConfig', 'ClientConfig']) assert.ok(DOCUMENTS.includes(name), name);
});

test('AsyncAPI has a channel, an operation and its messages for each topic', async () => {
  const { channels, operations, components } = parse(await readFile(join(folder, 'asyncapi.yaml'), 'utf8'));
  const addresses = Object.values<{ address: string }>(channels).map((channel) => channel.address);
  assert.deepEqual(addresses.sort(), contract.TOPIC_TABLE.map((row) => row.address).sort());
  assert.equal(Object.keys(operations).length, contract.TOPIC_TABLE.length);
  const incoming = Object.values<{ action: string }>(operations).filter((operation) => operation.action === 'receive');
  assert.equal(incoming.length, contract.TOPIC_TABLE.filter((row) => row.direction === 'to the rig').length);
  for (const row of contract.TOPIC_TABLE)
    for (const schema of row.schemas) assert.ok(schema in contractSchemas(), `${schema} is not exported`);
  const job = components.messages.job['x-jws'];
  assert.deepEqual(Object.keys(job), ['protectedHeader', 'payload', 'grant']);
});

test('OpenAPI has an operation for each route, on its socket, with a problem response', async () => {
  const { paths } = parse(await readFile(join(folder, 'openapi.yaml'), 'utf8'));
  const ids = new Set<string>();
  for (const route of contract.ROUTES) {
    const operation = paths[route.path.replace(/:(\w+)/g, '{$1}')]?.[route.method.toLowerCase()];
    assert.ok(operation, `${route.method} ${route.path}`);
    assert.ok(operation.tags.includes(route.socket));
    assert.equal(operation.responses.default.$ref, '#/components/responses/Problem');
    ids.add(operation.operationId);
  }
  const operations = Object.values<object>(paths).flatMap((item) => Object.keys(item));
  assert.equal(ids.size, operations.length, 'an operationId is used twice');
});

test('what JSON Schema has no word for is told in the description', () => {
  const text = protocolDocuments().get('schemas/TrustPayload.json')!;
  const { description, $defs } = JSON.parse(text);
  assert.match(description, /a bundle lives at most 14 days; a kid is listed twice/);
  assert.match($defs.TrustKey.description, /a key lives at most 31 days/);
});

/** RFC 6901, inside one document. */
function resolvePointer(document: unknown, ref: string): unknown {
  assert.ok(ref.startsWith('#/'), `${ref} leaves the document`);
  let value = document;
  for (const part of ref.slice(2).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (value === null || typeof value !== 'object') return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
