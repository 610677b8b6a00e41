/** AsyncAPI 3.0 of the MQTT side, from TOPIC_TABLE and the contract's schemas. */
import {
  JOSE,
  JOSE_JSON,
  MAX_IAT_AHEAD_SECONDS,
  MAX_LIFETIME_SECONDS,
  MAX_TOKEN_BYTES,
  MAX_TRUST_BYTES,
  type Purpose,
  TOPIC_ROOT,
  TOPIC_TABLE,
  type TopicRow,
  TYP,
} from '../../core/contract/index.js';
import { definitions, type JsonSchema, reachable } from './schemas.js';

const PREFIX = '#/components/schemas/';

/** Which typ signs which payload. What is not listed is not a JWS. */
const SIGNED: Record<string, Purpose> = {
  JobPayload: 'job',
  CancelPayload: 'cancel',
  AckPayload: 'ack',
  TrustPayload: 'trust',
  EventPayload: 'event',
  StatePayload: 'state',
  HealthPayload: 'state',
  AlertPayload: 'state',
  CalibrationSummaryPayload: 'state',
};

const PARAMETERS: Record<string, JsonSchema> = {
  rig: { description: 'Id of the rig; also the MQTT user name and client id of its courier.', examples: ['rig-01'] },
  dispatcher: {
    description: 'Name of the dispatcher in the trust bundle, the CN of its certificate.',
    examples: ['dispatcher.demo'],
  },
  subsystem: { description: 'Part of the rig whose health this is.' },
  insert: { description: 'Name of the insert in the configuration of the rig.' },
};

const OVERVIEW = `Jobs go to a rig and events, state and health come from it, over MQTT with mutual TLS 1.3.

A publish that was acknowledged says nothing about the job: brokers acknowledge what nobody receives. The verdict is an event. Offer a
job again with the same jti until there is one; the rig answers a known jti with its last event and never starts it twice.

Every token but the trust bundle is a compact JWS (RFC 7515). Its protected header is exactly {alg, typ, kid}: alg is EdDSA (Ed25519),
typ names the purpose, kid is the RFC 7638 thumbprint of a key that the trust bundle lists. Its payload is RFC 8785 canonical JSON.
A token is at most ${MAX_TOKEN_BYTES} bytes, iat at most ${MAX_IAT_AHEAD_SECONDS} s ahead, exp - iat at most ${MAX_LIFETIME_SECONDS} s. iss is the name that the trust bundle gives
to the signing key, aud the id of the rig. The trust bundle is a JWS in general JSON serialization with one signature by each of
several root keys, at most ${MAX_TRUST_BYTES} bytes.

Audio never travels here: it is sealed with age and lies in the store under the SHA-256 of its ciphertext.`;

interface Message {
  key: string;
  body: JsonSchema;
}

/** The document as a plain object; \`toYaml\` makes the file of it. */
export function asyncApi(): JsonSchema {
  const all = { ...definitions('draft-7', PREFIX), ...headers() };
  const channels: JsonSchema = {};
  const operations: JsonSchema = {};
  const messages: JsonSchema = {};
  for (const row of TOPIC_TABLE) {
    const id = channelId(row);
    const carried = row.schemas.map((name) => message(name));
    for (const { key, body } of carried) messages[key] = body;
    channels[id] = channel(row, carried);
    operations[operationId(row)] = operation(row, id, carried);
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'outboard: rig and dispatcher',
      version: TOPIC_ROOT.split('/')[1],
      description: OVERVIEW,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: JOSE,
    servers: {
      broker: {
        host: '{broker}',
        protocol: 'secure-mqtt',
        protocolVersion: '5.0',
        description:
          'TLS 1.3 with a client certificate. The CN is user name and client id. A courier falls back to MQTT 3.1.1.',
        variables: { broker: { description: 'host and port', examples: ['broker.example:8883'] } },
        security: [{ $ref: '#/components/securitySchemes/clientCertificate' }],
      },
    },
    channels,
    operations,
    components: {
      securitySchemes: {
        clientCertificate: {
          type: 'X509',
          description: 'A certificate of the private CA, at most 31 days long; its CN is the name in the trust bundle.',
        },
      },
      messages,
      schemas: reachable(all, PREFIX, messages, channels),
    },
  };
}

function channelId(row: TopicRow): string {
  const words = row.address.slice(TOPIC_ROOT.length).split('/');
  return words.filter((word) => word !== '' && !word.startsWith('{')).join('-');
}

function operationId(row: TopicRow): string {
  const id = channelId(row);
  return `${row.direction === 'to the rig' ? 'receive' : 'send'}${id[0]!.toUpperCase()}${id.slice(1)}`;
}

function channel(row: TopicRow, carried: readonly Message[]): JsonSchema {
  const names = [...row.address.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
  return {
    address: row.address,
    title: row.carries,
    description: `Published by ${row.publisher}, read by ${row.reader}.`,
    servers: [{ $ref: '#/servers/broker' }],
    ...(names.length > 0 ? { parameters: Object.fromEntries(names.map((name) => [name, parameter(name)])) } : {}),
    messages: Object.fromEntries(carried.map(({ key }) => [key, { $ref: `#/components/messages/${key}` }])),
  };
}

function parameter(name: string): JsonSchema {
  const known = PARAMETERS[name];
  if (known === undefined) throw new Error(`topic parameter ${name} is not described`);
  if (name !== 'subsystem') return known;
  return { ...known, enum: definitions('draft-7', PREFIX)['Subsystem']!['enum'] };
}

function operation(row: TopicRow, id: string, carried: readonly Message[]): JsonSchema {
  return {
    action: row.direction === 'to the rig' ? 'receive' : 'send',
    title: `The rig ${row.direction === 'to the rig' ? 'receives' : 'sends'} ${row.carries}`,
    channel: { $ref: `#/channels/${id}` },
    messages: carried.map(({ key }) => ({ $ref: `#/channels/${id}/messages/${key}` })),
    bindings: { mqtt: { qos: row.qos, retain: row.retained, bindingVersion: '0.2.0' } },
  };
}

function message(schema: string): Message {
  if (schema === 'TrustDocument') return trustMessage();
  const key = schema.replace(/(Payload|Document)$/, '').toLowerCase();
  const purpose = SIGNED[schema];
  if (purpose === undefined)
    return { key, body: { name: key, contentType: 'application/json', payload: { $ref: PREFIX + schema } } };
  return {
    key,
    body: {
      name: key,
      title: TYP[purpose],
      summary: `Compact JWS of typ ${TYP[purpose]}.`,
      contentType: JOSE,
      payload: { $ref: `${PREFIX}CompactJws` },
      'x-jws': {
        ...jws(purpose, schema),
        // A job carries the keeper's grant, a token of its own.
        ...(purpose === 'job' ? { grant: jws('grant', 'GrantPayload') } : {}),
      },
    },
  };
}

function trustMessage(): Message {
  return {
    key: 'trust',
    body: {
      name: 'trust',
      title: TYP.trust,
      summary: 'JWS in general JSON serialization, signed by the threshold of root keys.',
      contentType: JOSE_JSON,
      payload: { $ref: `${PREFIX}TrustDocument` },
      'x-jws': jws('trust', 'TrustPayload'),
    },
  };
}

/** What the token's parts hold once they are decoded: AsyncAPI has no word for it. */
function jws(purpose: Purpose, payload: string): JsonSchema {
  return { protectedHeader: { $ref: PREFIX + headerName(purpose) }, payload: { $ref: PREFIX + payload } };
}

function headerName(purpose: Purpose): string {
  return `${purpose[0]!.toUpperCase()}${purpose.slice(1)}Header`;
}

/** The protected header of each purpose: exactly three members. */
function headers(): Record<string, JsonSchema> {
  const purposes = Object.keys(TYP) as Purpose[];
  return Object.fromEntries(
    purposes.map((purpose) => [
      headerName(purpose),
      {
        type: 'object',
        properties: {
          alg: { type: 'string', const: 'EdDSA' },
          typ: { type: 'string', const: TYP[purpose] },
          kid: { $ref: `${PREFIX}Kid` },
        },
        required: ['alg', 'typ', 'kid'],
        additionalProperties: false,
      },
    ]),
  );
}
