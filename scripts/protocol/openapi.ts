/** OpenAPI 3.1 of the rig's two unix sockets, from ROUTES and the contract's schemas. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { MAX_WAIT_SECONDS, ROUTES, type Route, TOPIC_ROOT } from '../../core/contract/index.js';
import { LocalName, Uuid } from '../../core/contract/primitives.js';
import { contractSchemas, definitions, type JsonSchema, reachable } from './schemas.js';

const PREFIX = '#/components/schemas/';

const OVERVIEW = `The rig serves HTTP and JSON on two unix sockets and calls nobody. The file permissions of a socket decide who may connect.

    curl --unix-socket run/control.sock http://control/status

The courier moves tokens and blobs between these routes and the network; it asks, the rig answers. A long poll (\`wait\`, at most
${MAX_WAIT_SECONDS} s) is answered early when there is something, and empty when there is not. Tokens travel as application/jose: docs/protocol/asyncapi.yaml
says what is in them. Every refusal is a Problem: its \`code\` is stable and has an entry in docs/troubleshooting.md.`;

const SERVERS = {
  courier: { url: 'http://courier', description: 'unix socket `sockets.courier` of rig.yaml, for outboard-courier' },
  control: {
    url: 'http://control',
    description: 'unix socket `sockets.control` of rig.yaml, for technicians and `outboard`',
  },
} as const;

const UPLOAD_OFFSET = {
  description: 'Bytes that the rig has of this blob: go on from here.',
  schema: { type: 'integer', minimum: 0 },
};

/** The document as a plain object; `toYaml` makes the file of it. */
export function openApi(): JsonSchema {
  const names = new Map(Object.entries(contractSchemas()).map(([name, schema]) => [schema, name]));
  const refer = (schema: z.ZodType): JsonSchema => {
    const name = names.get(schema);
    if (name === undefined) throw new Error('a route uses a schema that core/contract does not export');
    return { $ref: PREFIX + name };
  };
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const route of ROUTES) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    const item = paths[path] ?? {};
    paths[path] = item;
    const method = route.method.toLowerCase();
    const made = operation(route, refer);
    const other = item[method];
    item[method] = other === undefined ? made : merge(other, made, `${route.method} ${path}`);
  }
  const all = definitions('draft-2020-12', PREFIX);
  const responses = {
    Problem: {
      description: 'Why not, and what to do about it.',
      content: { 'application/json': { schema: { $ref: `${PREFIX}Problem` } } },
    },
  };
  return {
    openapi: '3.1.0',
    info: {
      title: 'outboard: the local API of a rig',
      version: TOPIC_ROOT.split('/')[1],
      description: OVERVIEW,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [SERVERS.courier, SERVERS.control],
    tags: [
      { name: 'courier', description: 'On courier.sock: what the process with the network may ask.' },
      { name: 'control', description: 'On control.sock: technicians and the command line.' },
    ],
    paths,
    components: { responses, schemas: reachable(all, PREFIX, paths, responses) },
  };
}

type Refer = (schema: z.ZodType) => JsonSchema;

function operation(route: Route, refer: Refer): JsonSchema {
  const parameters = [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)];
  return {
    operationId: operationId(route),
    tags: [route.socket],
    summary: route.summary,
    servers: [SERVERS[route.socket]],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body ? { requestBody: { required: true, content: body(route.body, refer) } } : {}),
    responses: { ...success(route, refer), default: { $ref: '#/components/responses/Problem' } },
  };
}

function operationId(route: Route): string {
  const words = route.path.split('/').filter((word) => word !== '');
  const tail = words.map((word) => word.replace(/^:/, 'by-')).join('-');
  return `${route.method.toLowerCase()}-${tail}`;
}

function pathParameters(route: Route): JsonSchema[] {
  return [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => {
    if (name === 'digest') return { name, in: 'path', required: true, schema: { $ref: `${PREFIX}Digest` } };
    const described = { name: LocalName, insert: LocalName, run: Uuid }[name!];
    if (!described) throw new Error(`path parameter ${name} is not described`);
    const { $schema: _, ...schema } = z.toJSONSchema(described);
    return { name, in: 'path', required: true, schema };
  });
}

function queryParameters(route: Route): JsonSchema[] {
  if (route.query === undefined) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(route.query, { io: 'input' });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

/** Blobs are resumed: uploads by Upload-Offset, downloads by Range. */
function headerParameters(route: Route): JsonSchema[] {
  if (route.body?.type === 'application/octet-stream')
    return [{ name: 'Upload-Offset', in: 'header', required: false, schema: { ...UPLOAD_OFFSET.schema, default: 0 } }];
  if (route.answer?.type === 'application/octet-stream')
    return [{ name: 'Range', in: 'header', required: false, schema: { type: 'string', pattern: '^bytes=\\d+-$' } }];
  return [];
}

function body(what: NonNullable<Route['body']>, refer: Refer): JsonSchema {
  if (what.schema !== undefined) return { [what.type]: { schema: refer(what.schema) } };
  if (what.type === 'application/jose') return { [what.type]: { schema: { $ref: `${PREFIX}CompactJws` } } };
  if (what.type === 'application/jose+json') return { [what.type]: { schema: { $ref: `${PREFIX}TrustDocument` } } };
  return { [what.type]: {} };
}

function success(route: Route, refer: Refer): JsonSchema {
  const answer = route.answer;
  if (answer?.type === 'application/json' && answer.schema !== undefined)
    return {
      200: { description: 'The answer.', content: { 'application/json': { schema: refer(answer.schema) } } },
    };
  if (answer?.type === 'application/x-ndjson' && answer.schema !== undefined)
    return {
      200: {
        description: 'One object a line, for as long as there is news.',
        content: { 'application/x-ndjson': { schema: refer(answer.schema) } },
      },
    };
  if (answer?.type === 'application/octet-stream') {
    const content = { 'application/octet-stream': {} };
    return {
      200: { description: 'The whole blob.', content },
      206: { description: 'The rest of the blob, from the offset asked for.', content },
    };
  }
  if (route.method === 'HEAD') return { 204: { description: 'Wanted.', headers: { 'Upload-Offset': UPLOAD_OFFSET } } };
  if (route.method === 'PUT')
    return {
      201: { description: 'Complete, and its digest is right.' },
      204: { description: 'Written; more is to come.' },
    };
  return { 204: { description: 'Done.' } };
}

/** The same path on both sockets is one operation for OpenAPI: it has to be the same in everything but the socket. */
function merge(one: JsonSchema, other: JsonSchema, where: string): JsonSchema {
  for (const part of ['parameters', 'requestBody', 'responses'])
    if (!isDeepStrictEqual(one[part], other[part])) throw new Error(`${where} differs between the sockets in ${part}`);
  return {
    ...one,
    tags: [...(one['tags'] as string[]), ...(other['tags'] as string[])],
    summary: [one, other].map((each) => `${(each['tags'] as string[])[0]}: ${each['summary']}`).join(' '),
    servers: [...(one['servers'] as object[]), ...(other['servers'] as object[])],
  };
}
