/** What has to hold between the parts of a profile: commands can be told apart, vectors match, the simulation can be made. */
import type { SettingValue } from '../../core/contract/primitives.js';
import { NRPN_CONTROLLERS } from './codec-controller.js';
import type { Decimal } from './decimal.js';
import { shownFrame } from './frame-text.js';
import { invalidProfile } from './invalid.js';
import { messageFrame } from './message.js';
import { indicesOf, type Parameter, spelledValue } from './parameter.js';
import type { Profile, SessionStep } from './profile.js';
import type { Message } from './schema-basics.js';
import { companions, profileState, settingKey } from './settings.js';

/** Which commands a frame could be; of those that set, with `legal`, only with a value that there is. */
function readings({ params, identity }: Profile, frame: string, legal: boolean): string[] {
  const found = identity.flatMap(({ tx }, i) => (tx === frame ? [`identity.steps.${i}`] : []));
  for (const { name, mirror, taper } of params.values()) {
    const memory = { controllers: new Map<number, number>() };
    const present = (): Decimal => taper.encode(taper.sample(2)[0] as SettingValue) as Decimal;
    const heard = mirror.heard(frame, memory, present);
    if (heard.some(({ w }) => !legal || (w !== null && taper.decode(w) !== undefined)))
      found.push(`params.${name}.wire`);
    if (mirror.asked?.(frame) !== undefined) found.push(`params.${name}.read`);
  }
  return found;
}

function* sampleFrames({ params, identity }: Profile): Generator<string> {
  for (const { tx } of identity) yield tx;
  for (const { axis, taper, codec } of params.values()) {
    if (codec.driver !== undefined || codec.modifies !== undefined) continue;
    for (const index of axis === undefined ? [null] : [axis.from, axis.to]) {
      for (const value of taper.sample(9)) yield* codec.set(index, taper.encode(value) as Decimal);
      if (codec.read?.kind === 'ask') yield codec.read.tx(index);
    }
  }
}

/** Every command means one thing, fits the framing, and ends by itself where nothing ends it. */
export function checkCommands(profile: Profile): void {
  checkClaims(profile);
  const { txEnd, rxEnd, kind } = profile.framing;
  for (const frame of sampleFrames(profile)) {
    const found = readings(profile, frame, true);
    const shown = shownFrame(kind, frame);
    if (found.length > 1) throw invalidProfile(found[1] as string, `"${shown}" could also be ${found[0]}`);
    if (kind !== 'line') continue;
    if (txEnd !== '' && frame.includes(txEnd))
      throw invalidProfile(found[0] ?? 'identity', `"${shown}" holds the end of a line`);
    // Without a terminator a unit acts as soon as it has read a whole command.
    for (let i = 1; txEnd === '' && i < frame.length; i++) {
      const early = readings(profile, frame.slice(0, i), false)[0];
      if (early !== undefined)
        throw invalidProfile(early, `"${shown}" begins with a whole command, "${frame.slice(0, i)}"`);
    }
  }
  if (kind !== 'line') return;
  for (const { name, mirror, taper, axis } of profile.params.values()) {
    const w = taper.encode(taper.sample(2)[0] as SettingValue) as Decimal;
    const index = axis?.from ?? null;
    if (mirror.ack?.(index, w).includes(rxEnd))
      throw invalidProfile(`params.${name}.wire.ack`, 'holds the end of a line');
    if (mirror.reply?.(index, w).includes(rxEnd))
      throw invalidProfile(`params.${name}.read.reply`, 'holds the end of a line');
  }
}

/** No controller, no bit of a dump belongs to two settings. */
function checkClaims({ params }: Profile): void {
  const owners = new Map<string, string>();
  for (const parameter of params.values())
    for (const index of indicesOf(parameter))
      for (const claim of parameter.mirror.claims(index)) {
        const key = settingKey(parameter, index);
        const other = owners.get(claim);
        if (other !== undefined)
          throw invalidProfile(`params.${parameter.name}.wire`, `${key} and ${other} overlap on the wire: ${claim}`);
        owners.set(claim, key);
      }
  // Whoever uses an NRPN uses these four controllers of its channel.
  for (const [claim, key] of owners) {
    const channel = /^NRPN .* (on channel \d+)$/.exec(claim)?.[1];
    const taken =
      channel === undefined ? [] : NRPN_CONTROLLERS.map((controller) => `controller ${controller} ${channel}`);
    const other = taken.find((controller) => owners.has(controller));
    if (other !== undefined)
      throw invalidProfile(
        `params.${key.split('@')[0]}.wire`,
        `${key} and ${owners.get(other)} overlap on the wire: ${claim} needs ${other}`,
      );
  }
}

/** What parameters need and interlocks demand exists, is legal, and does not chase its own tail. */
export function checkStates({ document, params, interlocks }: Profile): void {
  for (const parameter of params.values()) {
    const path = `params.${parameter.name}.needs`;
    for (const index of indicesOf(parameter))
      for (const need of companions(params, parameter.needs, { parameter, index }, path)) {
        if (need.parameter === parameter) throw invalidProfile(path, 'a parameter cannot need itself');
        if (Object.keys(need.parameter.needs).length > 0)
          throw invalidProfile(path, `${need.parameter.name} needs something itself; needs go one step only`);
      }
  }
  checkPassages(document, params);
  interlocks.forEach(({ changing, before }, i) => {
    const path = `interlocks.${i}`;
    for (const name of changing) {
      const parameter = params.get(name);
      if (parameter === undefined) throw invalidProfile(`${path}.changing`, `"${name}" is not a parameter`);
      const companionsOfFirst = companions(
        params,
        before,
        { parameter, index: indicesOf(parameter)[0] ?? null },
        `${path}.before`,
      );
      const own = companionsOfFirst.find((companion) => changing.has(companion.parameter.name));
      if (own !== undefined) throw invalidProfile(`${path}.before`, `${own.parameter.name} is itself among changing`);
    }
  });
}

/** Each vector names one setting and the exact bytes for it. */
export function checkVectors(profile: Profile): void {
  const { kind } = profile.framing;
  profile.document.vectors.forEach((vector, i) => {
    const path = `vectors.${i}`;
    const state = [...profileState(profile.params, vector.set, `${path}.set`)];
    const [key, value] = state[0] ?? ['', 0];
    if (state.length !== 1) throw invalidProfile(`${path}.set`, 'a vector sets exactly one setting');
    const { parameter, index } = named(profile, key);
    const { codec, mirror } = parameter;
    const w = parameter.taper.encode(value) as Decimal;
    const dump = vector.dump === undefined ? undefined : frameAt(profile, vector.dump, `${path}.dump`);
    if (codec.modifies !== undefined && dump === undefined)
      throw invalidProfile(`${path}.dump`, `${key} changes bits of a dump: the vector has to say which dump was read`);
    const tx = codec.set(index, w, dump).join('');
    if (tx !== frameAt(profile, vector.tx, `${path}.tx`))
      throw invalidProfile(`${path}.tx`, `does not match: the command is "${shownFrame(kind, tx)}"`);
    if (vector.rx === undefined) return;
    const rx = frameAt(profile, vector.rx, `${path}.rx`);
    const ack = codec.driver === undefined ? mirror.ack?.(index, w) : codec.ack?.(rx) && rx;
    if (ack !== rx)
      throw invalidProfile(
        `${path}.rx`,
        `does not match: the acknowledgement is "${ack === undefined ? 'none' : shownFrame(kind, ack)}"`,
      );
  });
}

function frameAt({ framing, vars }: Profile, message: Message, path: string): string {
  return messageFrame(framing.kind, message, vars, path);
}

function named(profile: Profile, key: string): { parameter: Parameter; index: number | null } {
  const parameter = profile.params.get(key.split('@')[0] as string) as Parameter;
  const index = indicesOf(parameter).find((i) => settingKey(parameter, i) === key) ?? null;
  return { parameter, index };
}

/** What a simulated unit says is what the profile takes it for. */
export function checkSim(profile: Profile): void {
  const { sim } = profile.document;
  const [shortest, longest] = sim.replyMs;
  if (shortest > longest) throw invalidProfile('sim.replyMs', 'the shortest is above the longest');
  if (longest >= profile.pacing.replyMs) throw invalidProfile('sim.replyMs', 'is not below pacing.replyMs');
  if (sim.identity.length !== profile.identity.length)
    throw invalidProfile('sim.identity', `has to answer the ${profile.identity.length} steps of identity`);
  profile.identity.forEach(({ rx, must }, i) => {
    const frame = frameAt(profile, sim.identity[i] as Message, `sim.identity.${i}`);
    const groups = rx.exec(frame)?.groups;
    const wrong = Object.entries(must).find(([name, value]) => groups?.[name] !== value);
    if (!rx.test(frame) || wrong !== undefined)
      throw invalidProfile(
        `sim.identity.${i}`,
        `"${shownFrame(profile.framing.kind, frame)}" is not what the identity step wants`,
      );
  });
  checkSimSession(profile);
  for (const [as, message] of Object.entries(sim.errors)) {
    const frame = frameAt(profile, message, `sim.errors.${as}`);
    if (profile.errors.find(({ rx }) => rx.test(frame))?.as !== as)
      throw invalidProfile(`sim.errors.${as}`, 'is not taken for that error');
  }
  if (sim.banner !== undefined) {
    const banner = frameAt(profile, sim.banner, 'sim.banner');
    if (profile.unsolicited.find(({ rx }) => rx.test(banner))?.means !== 'reboot')
      throw invalidProfile('sim.banner', 'is not taken for a reboot');
  }
  for (const [key, drive] of Object.entries(sim.drives ?? {})) {
    const path = `sim.drives.${key}`;
    const target = typeof drive === 'string' ? drive : drive.to;
    if (target === 'routes') {
      if (profile.params.get(key)?.kind !== 'route')
        throw invalidProfile(path, 'only a parameter of kind route, by its bare name');
      continue;
    }
    const parameter = profile.params.get(key.split('@')[0] as string);
    if (parameter === undefined || !indicesOf(parameter).some((i) => settingKey(parameter, i) === key))
      throw invalidProfile(path, 'there is no such setting');
    if (
      ['muted', 'erasing'].includes(target) !== (parameter.kind === 'bool') ||
      !['bool', 'number'].includes(parameter.kind)
    )
      throw invalidProfile(path, `a parameter of kind ${parameter.kind} cannot drive ${target}`);
    if (target === 'delaySeconds') {
      const scale = typeof drive === 'string' ? 1 : drive.scale;
      const ends = parameter.taper.sample(2) as SettingValue[];
      if (ends.some((value) => (value as number) * scale < 0)) throw invalidProfile(path, 'a delay cannot be negative');
    }
  }
}

/** The simulated unit answers every step of the session that wants an answer. */
function checkSimSession(profile: Profile): void {
  const { sim } = profile.document;
  const { begin, end, keepAlive } = profile.session;
  const answers: [string, readonly SessionStep[], readonly Message[]][] = [
    ['begin', begin, sim.session?.begin ?? []],
    ['end', end, sim.session?.end ?? []],
    [
      'keepAlive',
      keepAlive === undefined ? [] : [keepAlive],
      sim.session?.keepAlive === undefined ? [] : [sim.session.keepAlive],
    ],
  ];
  for (const [name, steps, said] of answers) {
    const asking = steps.filter(({ rx }) => rx !== undefined);
    if (asking.length !== said.length)
      throw invalidProfile(`sim.session.${name}`, `has to answer ${asking.length} steps and answers ${said.length}`);
    asking.forEach(({ rx }, i) => {
      const path = `sim.session.${name}${name === 'keepAlive' ? '' : `.${i}`}`;
      if (!rx?.test(frameAt(profile, said[i] as Message, path)))
        throw invalidProfile(path, 'is not what the step wants');
    });
  }
}

/** What is set with a route has a channel of its own, is legal, and is no route itself. */
function checkPassages(document: Profile['document'], params: Profile['params']): void {
  for (const [name, param] of Object.entries(document.params))
    for (const [key, value] of param.kind === 'route' ? Object.entries(param.with ?? {}) : []) {
      const path = `params.${name}.with.${key}`;
      const other = params.get(key);
      if (other?.axis === undefined || other.kind === 'route')
        throw invalidProfile(path, 'only the bare name of a parameter that has an axis and is no route');
      if (other.taper.encode(spelledValue(other.kind, value)) === undefined)
        throw invalidProfile(path, `${JSON.stringify(value)} is not allowed; allowed is ${other.taper.range}`);
    }
}
