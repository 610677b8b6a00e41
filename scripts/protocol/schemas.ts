/** The contract's zod schemas as JSON Schema: one named definition each, which refer to one another by name. */
import { z } from 'zod';
import * as contract from '../../core/contract/index.js';

export type JsonSchema = { [key: string]: unknown };
export type Definitions = Record<string, JsonSchema>;

/**
 * What stands on its own at a boundary and so gets a file of its own in docs/protocol/schemas. `Payload` is what a JWS carries,
 * `Document` what is published as it is, `Config` a file that a person writes.
 */
export const DOCUMENTS: readonly string[] = Object.keys(contractSchemas())
  .filter((name) => /(Payload|Document)$/.test(name) || /^(Rig|Courier|Client)Config$/.test(name))
  .sort();

/** Every exported schema of core/contract by its name. */
export function contractSchemas(): Record<string, z.ZodType> {
  const found: Record<string, z.ZodType> = {};
  for (const [name, value] of Object.entries(contract)) if (value instanceof z.ZodType) found[name] = value;
  return found;
}

/**
 * All schemas as JSON Schema of the dialect, without `$schema` and `$id`. References read `<prefix><Name>`.
 *
 * What zod checks and JSON Schema has no word for (`refine`) is told in the description. Schemas describe what is sent: a value with
 * a default may be absent.
 */
export function definitions(dialect: 'draft-2020-12' | 'draft-7', prefix: string): Definitions {
  const registry = z.registry<{ id: string }>();
  for (const [name, schema] of Object.entries(contractSchemas())) registry.add(schema, { id: name });
  const { schemas } = z.toJSONSchema(registry, {
    target: dialect,
    io: 'input',
    uri: (id) => prefix + id,
    override: ({ zodSchema, jsonSchema }) => {
      const schema = zodSchema as unknown as z.ZodType;
      const rules = refinements(schema);
      if (rules.length === 0) return;
      const own = schema.meta()?.description;
      jsonSchema.description = `${own === undefined ? '' : `${own}. `}Checked beyond this schema: ${rules.join('; ')}.`;
    },
  });
  const result: Definitions = {};
  for (const name of Object.keys(schemas).sort()) {
    const { $schema: _dialect, $id: _id, ...schema } = schemas[name] as JsonSchema;
    result[name] = schema;
  }
  return result;
}

function refinements(schema: z.ZodType): string[] {
  const messages: string[] = [];
  for (const check of schema._zod.def.checks ?? []) {
    const { check: kind, error } = check._zod.def as { check: string; error?: (issue: object) => unknown };
    if (kind !== 'custom') continue;
    const message = error?.({});
    if (typeof message !== 'string') throw new Error('a refinement of the contract has no message to document it by');
    messages.push(message);
  }
  return messages;
}

/** The definitions that these values need, and what those need, in the order of their names. */
export function reachable(all: Definitions, prefix: string, ...roots: unknown[]): Definitions {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    for (const ref of references(value)) {
      if (!ref.startsWith(prefix)) continue;
      const name = ref.slice(prefix.length);
      const schema = all[name];
      if (schema === undefined || names.has(name)) continue;
      names.add(name);
      visit(schema);
    }
  };
  for (const root of roots) visit(root);
  return Object.fromEntries([...names].sort().map((name) => [name, all[name]!]));
}

/** Every `$ref` in a document. */
export function references(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(references);
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' && typeof inner === 'string' ? [inner] : references(inner),
  );
}

/** One document as a JSON Schema 2020-12 that needs no other file. */
export function standaloneSchema(name: string): JsonSchema {
  const prefix = '#/$defs/';
  const all = definitions('draft-2020-12', prefix);
  const schema = all[name]!;
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: name,
    ...schema,
    $defs: reachable(all, prefix, schema),
  };
}
