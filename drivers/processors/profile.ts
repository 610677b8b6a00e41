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
import type { Settings, SettingValue } from '../../core/contract/primitives.js';
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { codeDriver } from './code-drivers/index.js';
import { type CompiledDump, compileDumps } from './dump.js';
import type { FramePattern, FramingKind } from './frame-text.js';
import { invalidProfile } from './invalid.js';
import { messageFrame, messagePattern } from './message.js';
import { type Axis, compileParameter, indicesOf, type Parameter } from './parameter.js';
import { checkCommands, checkSim, checkStates, checkVectors } from './profile-checks.js';
import { type ErrorMeaning, ProfileDocument } from './profile-schema.js';
import type { Message } from './schema-basics.js';
import { settingKey, wholeState } from './settings.js';

export interface IdentityStep {
  readonly tx: string;
  /** Of the whole answer. */
  readonly rx: FramePattern;
  readonly must: Readonly<Record<string, string>>;
}

/** Something that is said to the unit beside its settings; without `rx` there is no answer. */
export interface SessionStep {
  readonly tx: string;
  readonly rx: FramePattern | undefined;
}

export interface Session {
  /** After the identity, before anything is set. */
  readonly begin: readonly SessionStep[];
  /** Before the port is closed. */
  readonly end: readonly SessionStep[];
  readonly keepAlive: (SessionStep & { readonly everyMs: number }) | undefined;
  /** True where `begin` locks the front panel and `end` unlocks it. */
  readonly panel: boolean;
}

/** While one of `changing` changes, `before` is set and has settled; afterwards what was before is set again. */
export interface Interlock {
  readonly changing: ReadonlySet<string>;
  /** As the profile spells it; `companions` of the settings resolves it for one setting that changes. */
  readonly before: Readonly<Record<string, SettingValue>>;
  readonly beforeSettleMs: number;
  readonly after: 'restore';
}

/** How a unit that remembers what it was sent is made to forget: so many seconds of silence, or these steps in order. */
export type Memory = { readonly seconds: number } | { readonly procedure: Steps };

export type Steps = readonly ({ readonly set: Settings } | { readonly waitSeconds: number })[];

export interface Framing {
  readonly kind: FramingKind;
  /** Empty unless lines are framed. */
  readonly txEnd: string;
  readonly rxEnd: string;
  /** Longest message that the unit may send, bytes, without the end of a line. */
  readonly rxMax: number;
  /** Longest pause inside of a message. */
  readonly rxGapMs: number;
  /** `command`: the unit repeats every command, as a line of its own, before it answers. */
  readonly echo: 'none' | 'command';
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
  /** What the identity proves: this very unit, its model, its family, or nothing. */
  readonly identityStrength: ProfileDocument['identity']['strength'];
  /** The answer does not prove the model: a person has to look. */
  readonly operatorConfirm: boolean;
  readonly session: Session;
  readonly errors: readonly { rx: FramePattern; as: ErrorMeaning }[];
  readonly unsolicited: readonly { rx: FramePattern; means: 'reboot' | 'local-change' }[];
  readonly transport: ProfileDocument['transport'];
  readonly framing: Framing;
  readonly pacing: {
    readonly gapMs: number;
    readonly replyMs: number;
    readonly quietMs: number;
    readonly retries: number;
    /** What the unit takes where the wire does not brake; undefined: as fast as the wire. */
    readonly bytesPerSec: number | undefined;
  };
  /** Name of the code driver that speaks for this profile. */
  readonly driver: ProfileDocument['driver'];
  /** The variables and what they are bound to. */
  readonly vars: ReadonlyMap<string, number>;
  /** By name; of a dump that exists per index, `name@axis=n`. */
  readonly dumps: ReadonlyMap<string, CompiledDump>;
  readonly interlocks: readonly Interlock[];
  readonly memory: Memory | undefined;
  /** How it comes to let through what it still holds; undefined: its safe state does, unless that is silent. */
  readonly hearing: Steps | undefined;
  /** True where nothing comes through in the safe state. */
  readonly silentWhenSafe: boolean;
  /** The settings that give the front panel to people, and those that the rig has otherwise. */
  readonly panel: { readonly free: Settings; readonly held: Settings };
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

/**
 * A profile from the content of its file, its variables at their defaults.
 *
 * @throws OutboardError profile.invalid; details {path}
 */
export function compileProfile(value: unknown): Profile {
  const parsed = ProfileDocument.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    if (issue?.path.length === 0 && issue.code === 'invalid_type')
      throw invalidProfile('(top)', 'a profile is a map of keys; docs/profiles.md has a skeleton', parsed.error);
    throw invalidProfile(issue?.path.join('.') || '(top)', issue?.message ?? 'not a profile', parsed.error);
  }
  const document = parsed.data;
  for (const [name, { min, max, default: usual }] of Object.entries(document.vars ?? {}))
    if (!(min <= usual && usual <= max)) throw invalidProfile(`vars.${name}`, 'min, default and max do not rise');
  const hash = `sha256:${createHash('sha256').update(canonicalBytes(value)).digest('hex')}`;
  const vars = new Map(Object.entries(document.vars ?? {}).map(([name, { default: usual }]) => [name, usual]));
  const profile = assemble(document, hash, vars);
  checkCommands(profile);
  checkStates(profile);
  // Vectors and the simulation's answers are spelled for the defaults.
  checkVectors(profile);
  checkSim(profile);
  return profile;
}

/**
 * The profile for one unit, with its own variables; those that are not named keep their defaults. Id, version and hash stay.
 *
 * @throws OutboardError config.invalid for a variable that the profile does not have or a value out of its range; details {path, value, range}
 */
export function bindProfile(profile: Profile, vars: Readonly<Record<string, number>>): Profile {
  const declared = profile.document.vars ?? {};
  for (const [name, value] of Object.entries(vars)) {
    const path = `vars.${name}`;
    const variable = Object.hasOwn(declared, name) ? declared[name] : undefined;
    const range =
      variable === undefined ? Object.keys(declared).join(', ') || 'none' : `${variable.min} to ${variable.max}`;
    const details = { path, value, range };
    if (variable === undefined)
      throw new OutboardError('config.invalid', `${path}: ${profile.id} has no such variable; it has ${range}`, {
        details,
      });
    if (!Number.isInteger(value) || value < variable.min || value > variable.max)
      throw new OutboardError('config.invalid', `${path}: ${value} is not a whole number from ${range}`, { details });
  }
  const bound = assemble(profile.document, profile.hash, new Map([...profile.vars, ...Object.entries(vars)]));
  checkCommands(bound);
  return bound;
}

function assemble(document: ProfileDocument, hash: string, vars: ReadonlyMap<string, number>): Profile {
  const framing = framingOf(document);
  const axes = axesOf(document);
  const twice = [...vars.keys()].find((name) => axes.has(name));
  if (twice !== undefined) throw invalidProfile(`vars.${twice}`, 'is an axis too');
  const { pacing, driver, transport } = document;
  const uses = Object.values(document.params).some(({ wire }) => wire.enc === 'driver');
  if ((uses || framing.kind === 'driver') && driver === undefined)
    throw invalidProfile('driver', 'the profile leaves its wire to a code driver and names none');
  if (driver !== undefined && framing.kind !== 'driver')
    throw invalidProfile('framing.kind', 'a profile with a code driver has the framing driver');
  const declared = document.dumps ?? {};
  const dumps = compileDumps(declared, axes, vars);
  const spoken = driver === undefined ? undefined : codeDriver(driver, Object.fromEntries(vars));
  const context = { axes, vars, framing: framing.kind, dumps, declared, driver: spoken };
  const params = new Map(
    orderOf(document).map((name) => {
      const param = document.params[name] as ProfileDocument['params'][string];
      return [name, compileParameter(name, param, context)];
    }),
  );
  const pattern = (rx: string, whole: boolean, path: string): FramePattern =>
    messagePattern(framing.kind, rx, vars, whole, path);
  return {
    id: document.id,
    version: document.version,
    hash,
    document,
    params,
    safeState: safeState(document, params),
    identity: identitySteps(document, framing.kind, vars),
    identityStrength: document.identity.strength,
    operatorConfirm: document.identity.operatorConfirm ?? false,
    session: sessionOf(document, framing.kind, vars),
    errors: document.errors.map(({ rx, as }, i) => ({ rx: pattern(rx, true, `errors.${i}.rx`), as })),
    unsolicited: document.unsolicited.map(({ rx, means }, i) => ({
      rx: pattern(rx, false, `unsolicited.${i}.rx`),
      means,
    })),
    transport,
    framing,
    pacing: {
      gapMs: pacing.gapMs,
      replyMs: pacing.replyMs,
      quietMs: pacing.quietMs ?? 50,
      retries: pacing.retries,
      bytesPerSec: pacing.bytesPerSec ?? (transport.kind === 'midi' ? MIDI_BYTES_PER_SECOND : undefined),
    },
    driver,
    vars,
    dumps,
    interlocks: (document.interlocks ?? []).map(({ changing, ...rest }) => ({ changing: new Set(changing), ...rest })),
    memory: memoryOf(document, params),
    hearing: document.hearing && stepsOf(document.hearing, 'hearing', params),
    silentWhenSafe: document.safe.silent === true,
    panel: panelOf(document, params),
  };
}

/** 31 250 baud, ten bits for each byte (MIDI 1.0 detailed specification, electrical). */
const MIDI_BYTES_PER_SECOND = 3125;

function framingOf({ framing }: ProfileDocument): Framing {
  const none = { txEnd: '', rxEnd: '', echo: 'none' as const };
  if (framing.kind === 'midi')
    return { kind: 'midi', ...none, rxMax: framing.sysexMax ?? 1024, rxGapMs: framing.rxGapMs ?? 250 };
  if (framing.kind === 'driver') return { kind: 'driver', ...none, rxMax: 64, rxGapMs: framing.rxGapMs ?? 100 };
  const { kind, txEnd, rxEnd, rxMax, rxGapMs, echo } = framing;
  return { kind, txEnd, rxEnd, rxMax, rxGapMs: rxGapMs ?? 100, echo };
}

function axesOf(document: ProfileDocument): Map<string, Axis> {
  const axes = new Map<string, Axis>();
  for (const [name, { from, to, link = [] }] of Object.entries(document.axes ?? {})) {
    if (from > to) throw invalidProfile(`axes.${name}`, 'from is above to');
    const linked = link.flat();
    const wrong = linked.find((index, i) => index < from || index > to || linked.indexOf(index) !== i);
    if (wrong !== undefined)
      throw invalidProfile(`axes.${name}.link`, `${wrong} is not on the axis, or stands in two groups`);
    axes.set(name, { name, from, to, link });
  }
  return axes;
}

function sessionOf({ session }: ProfileDocument, kind: FramingKind, vars: ReadonlyMap<string, number>): Session {
  const step = ({ tx, rx }: { tx: Message; rx?: string | undefined }, path: string): SessionStep => ({
    tx: messageFrame(kind, tx, vars, `${path}.tx`),
    rx: rx === undefined ? undefined : messagePattern(kind, rx, vars, true, `${path}.rx`),
  });
  const keepAlive = session?.keepAlive;
  return {
    begin: (session?.begin ?? []).map((s, i) => step(s, `session.begin.${i}`)),
    end: (session?.end ?? []).map((s, i) => step(s, `session.end.${i}`)),
    keepAlive:
      keepAlive === undefined ? undefined : { ...step(keepAlive, 'session.keepAlive'), everyMs: keepAlive.everyMs },
    panel: session?.panel === true,
  };
}

function panelOf({ panel = {} }: ProfileDocument, params: ReadonlyMap<string, Parameter>): Profile['panel'] {
  const free = wholeState(params, panel, 'panel');
  const held = [...free.keys()].map((key): [string, SettingValue] => {
    const usual = params.get(key.split('@')[0] as string)?.default;
    if (usual === undefined) throw invalidProfile(`panel.${key}`, 'has no default to go back to');
    return [key, usual];
  });
  return { free: Object.fromEntries(free), held: Object.fromEntries(held) };
}

function memoryOf({ memory }: ProfileDocument, params: ReadonlyMap<string, Parameter>): Memory | undefined {
  if (memory === undefined || 'seconds' in memory) return memory;
  return { procedure: stepsOf(memory.procedure, 'memory.procedure', params) };
}

function stepsOf(
  steps: NonNullable<ProfileDocument['hearing']>,
  path: string,
  params: ReadonlyMap<string, Parameter>,
): Steps {
  return steps.map((step, i) =>
    'set' in step ? { set: Object.fromEntries(wholeState(params, step.set, `${path}.${i}.set`)) } : step,
  );
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
  const state = wholeState(params, safe.state, 'safe.state');
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

function identitySteps(
  { identity }: ProfileDocument,
  kind: FramingKind,
  vars: ReadonlyMap<string, number>,
): IdentityStep[] {
  if (identity.strength !== 'none' && identity.steps.length === 0)
    throw invalidProfile('identity.steps', `strength ${identity.strength} needs a step that asks`);
  return identity.steps.map(({ tx, rx, must = {} }, i) => {
    for (const group of Object.keys(must))
      if (!rx.includes(`(?<${group}>`)) throw invalidProfile(`identity.steps.${i}.must`, `rx has no group "${group}"`);
    const path = `identity.steps.${i}`;
    return {
      tx: messageFrame(kind, tx, vars, `${path}.tx`),
      rx: messagePattern(kind, rx, vars, true, `${path}.rx`),
      must,
    };
  });
}
