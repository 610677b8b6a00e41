/**
 * Profiles: what a model of processor understands, from a YAML file to something that can be asked. Everything that can be wrong in a profile
 * is found when it is loaded, so that a unit never meets a value that it cannot say.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LineCounter, parseDocument } from 'yaml';
import { canonicalBytes } from '../../core/canonical.js';
import type { Settings } from '../../core/contract/primitives.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { invalidProfile } from './invalid.js';
import { compileParameter, indicesOf, type Parameter } from './parameter.js';
import { checkCommands, checkSim, checkVectors } from './profile-checks.js';
import { type ErrorMeaning, ProfileDocument } from './profile-schema.js';
import { fullLine, profileState, settingKey } from './settings.js';

export interface IdentityStep {
  readonly tx: string;
  readonly rx: RegExp;
  readonly must: Readonly<Record<string, string>>;
}

export interface Profile {
  readonly id: string;
  readonly version: string;
  /** `sha256:<hex>` of the RFC 8785 form of the file's content: comments and order of keys do not count. */
  readonly hash: string;
  readonly document: ProfileDocument;
  /** In the order in which a recall applies them. */
  readonly params: ReadonlyMap<string, Parameter>;
  /** Every setting of the safe state by its full name, in the order to apply. */
  readonly safeState: Settings;
  readonly identity: readonly IdentityStep[];
  readonly errors: readonly { rx: RegExp; as: ErrorMeaning }[];
  readonly unsolicited: readonly { rx: RegExp; means: 'reboot' | 'local-change' }[];
  readonly framing: { txEnd: string; rxEnd: string; rxMax: number; rxGapMs: number };
  readonly pacing: { gapMs: number; replyMs: number; quietMs: number; retries: number };
}

/** <package root>/drivers/processors/profiles: the compiled code lies one folder deeper than its source. */
const PROFILES = fileURLToPath(new URL('../../../drivers/processors/profiles/', import.meta.url));

/**
 * All profiles of a folder by id.
 *
 * @throws OutboardError profile.invalid with file and path, also for two profiles of one id or a file that is not named `<id>.yaml`
 */
export async function loadProfiles(dir: string = PROFILES): Promise<Map<string, Profile>> {
  const profiles = new Map<string, Profile>();
  let names: string[];
  try {
    names = (await readdir(dir)).filter((name) => name.endsWith('.yaml')).sort();
  } catch (cause) {
    throw new OutboardError('file.unreadable', `the profiles in ${dir} cannot be read`, { cause });
  }
  for (const name of names) {
    const profile = parseProfile(await readFile(join(dir, name), 'utf8'), name);
    if (name !== `${profile.id}.yaml`)
      throw located(invalidProfile('id', `"${profile.id}" is not the file's name`), name);
    profiles.set(profile.id, profile);
  }
  return profiles;
}

/**
 * One profile from its YAML text; `source` names it in messages.
 *
 * @throws OutboardError profile.invalid; details {source, path}
 */
export function parseProfile(text: string, source: string): Profile {
  try {
    return compileProfile(parseYaml(text));
  } catch (error) {
    throw located(asOutboardError(error), source);
  }
}

function located(error: OutboardError, source: string): OutboardError {
  if (error.code === 'internal') return error;
  const options = { cause: error.cause, details: { source, ...error.details } };
  return new OutboardError('profile.invalid', `${source}: ${error.message}`, options);
}

function parseYaml(text: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, strict: true, uniqueKeys: true });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    const { line } = lineCounter.linePos(problem.pos[0]);
    throw invalidProfile(`line ${line}`, problem.message.split('\n')[0] ?? 'not YAML', problem);
  }
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw invalidProfile('(top)', cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** @throws OutboardError profile.invalid */
export function compileProfile(value: unknown): Profile {
  const parsed = ProfileDocument.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalidProfile(issue?.path.join('.') || '(top)', issue?.message ?? 'not a profile', parsed.error);
  }
  const document = parsed.data;
  const axes = document.axes ?? {};
  for (const [name, { from, to }] of Object.entries(axes))
    if (from > to) throw invalidProfile(`axes.${name}`, 'from is above to');
  const params = new Map(
    orderOf(document).map((name) => [
      name,
      compileParameter(name, document.params[name] as ProfileDocument['params'][string], axes),
    ]),
  );
  const { framing, pacing } = document;
  const profile: Profile = {
    id: document.id,
    version: document.version,
    hash: `sha256:${createHash('sha256').update(canonicalBytes(value)).digest('hex')}`,
    document,
    params,
    safeState: safeState(document, params),
    identity: identitySteps(document),
    errors: document.errors.map(({ rx, as }) => ({ rx: fullLine(rx), as })),
    unsolicited: document.unsolicited.map(({ rx, means }) => ({ rx: new RegExp(rx, 'u'), means })),
    framing: { txEnd: framing.txEnd, rxEnd: framing.rxEnd, rxMax: framing.rxMax, rxGapMs: framing.rxGapMs ?? 100 },
    pacing: { gapMs: pacing.gapMs, replyMs: pacing.replyMs, quietMs: pacing.quietMs ?? 50, retries: pacing.retries },
  };
  checkCommands(profile);
  checkVectors(profile);
  checkSim(profile);
  return profile;
}

function orderOf(document: ProfileDocument): string[] {
  const named = document.order.filter((name) => name !== '*');
  const all = Object.keys(document.params);
  const unknown = named.find((name) => !all.includes(name));
  if (unknown !== undefined) throw invalidProfile('order', `"${unknown}" is not a parameter`);
  const order = document.order.flatMap((name) => (name === '*' ? all.filter((n) => !named.includes(n)) : [name]));
  const twice = order.find((name, i) => order.indexOf(name) !== i);
  if (twice !== undefined) throw invalidProfile('order', `"${twice}" stands twice`);
  const missing = all.find((name) => !order.includes(name));
  if (missing !== undefined)
    throw invalidProfile('order', `"${missing}" is missing; "*" stands for all that are not named`);
  return order;
}

function safeState({ safe }: ProfileDocument, params: ReadonlyMap<string, Parameter>): Settings {
  const state = profileState(params, safe.state, 'safe.state');
  for (const parameter of params.values())
    for (const index of parameter.hazard ? indicesOf(parameter) : [])
      if (!state.has(settingKey(parameter, index)))
        throw invalidProfile('safe.state', `${settingKey(parameter, index)} is a hazard and has no safe value`);
  const first = safe.order ?? [];
  const unknown = first.find((name) => !params.has(name));
  if (unknown !== undefined) throw invalidProfile('safe.order', `"${unknown}" is not a parameter`);
  const names = [...new Set([...first, ...params.keys()])];
  return Object.fromEntries(names.flatMap((name) => [...state].filter(([key]) => key.split('@')[0] === name)));
}

function identitySteps({ identity }: ProfileDocument): IdentityStep[] {
  if (identity.strength !== 'none' && identity.steps.length === 0)
    throw invalidProfile('identity.steps', `strength ${identity.strength} needs a step that asks`);
  return identity.steps.map(({ tx, rx, must }, i) => {
    for (const group of Object.keys(must))
      if (!rx.includes(`(?<${group}>`)) throw invalidProfile(`identity.steps.${i}.must`, `rx has no group "${group}"`);
    return { tx, rx: fullLine(rx), must };
  });
}
