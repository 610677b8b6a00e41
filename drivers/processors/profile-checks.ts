/** What has to hold between the parts of a profile: commands can be told apart, vectors match, the simulation can be made. */
import type { SettingValue } from '../../core/contract/primitives.js';
import type { Decimal } from './decimal.js';
import { invalidProfile } from './invalid.js';
import { ackLine, indicesOf, type Parameter, parseRead, parseSet, readLine, setLine } from './parameter.js';
import type { Profile } from './profile.js';
import { profileState, settingKey } from './settings.js';

/** Which commands a line could be. */
function readings({ params, identity }: Profile, line: string): string[] {
  const found = identity.flatMap(({ tx }, i) => (tx === line ? [`identity.steps.${i}`] : []));
  for (const parameter of params.values()) {
    if (parseSet(parameter, line) !== undefined) found.push(`params.${parameter.name}.wire`);
    if (parseRead(parameter, line) !== undefined) found.push(`params.${parameter.name}.read`);
  }
  return found;
}

function* sampleLines({ params, identity }: Profile): Generator<string> {
  for (const { tx } of identity) yield tx;
  for (const parameter of params.values()) {
    const { axis, taper } = parameter;
    for (const index of axis === undefined ? [null] : [axis.from, axis.to]) {
      for (const value of taper.sample(9)) yield setLine(parameter, index, taper.encode(value) as Decimal);
      const question = readLine(parameter, index);
      if (question !== undefined) yield question;
    }
  }
}

/** Every command means one thing, fits the framing, and ends by itself where nothing ends it. */
export function checkCommands(profile: Profile): void {
  const { txEnd, rxEnd } = profile.framing;
  for (const line of sampleLines(profile)) {
    const found = readings(profile, line);
    if (found.length > 1) throw invalidProfile(found[1] as string, `"${line}" could also be ${found[0]}`);
    if (txEnd !== '' && line.includes(txEnd))
      throw invalidProfile(found[0] ?? 'identity', `"${line}" holds the end of a line`);
    // Without a terminator a unit acts as soon as it has read a whole command.
    for (let i = 1; txEnd === '' && i < line.length; i++) {
      const early = readings(profile, line.slice(0, i))[0];
      if (early !== undefined)
        throw invalidProfile(early, `"${line}" begins with a whole command, "${line.slice(0, i)}"`);
    }
  }
  for (const { name, lines } of profile.params.values()) {
    if (lines.ack?.text.includes(rxEnd)) throw invalidProfile(`params.${name}.wire.ack`, 'holds the end of a line');
    if (lines.reply?.text.includes(rxEnd)) throw invalidProfile(`params.${name}.read.reply`, 'holds the end of a line');
  }
}

/** Each vector names one setting and the exact lines for it. */
export function checkVectors(profile: Profile): void {
  profile.document.vectors.forEach((vector, i) => {
    const path = `vectors.${i}`;
    const state = [...profileState(profile.params, vector.set, `${path}.set`)];
    const [key, value] = state[0] ?? ['', 0];
    if (state.length !== 1) throw invalidProfile(`${path}.set`, 'a vector sets exactly one setting');
    const { parameter, index } = named(profile, key);
    const w = parameter.taper.encode(value) as Decimal;
    const tx = setLine(parameter, index, w);
    if (tx !== vector.tx) throw invalidProfile(`${path}.tx`, `"${vector.tx}" does not match: the command is "${tx}"`);
    const ack = ackLine(parameter, index, w);
    if (vector.rx !== undefined && vector.rx !== ack)
      throw invalidProfile(`${path}.rx`, `"${vector.rx}" does not match: the acknowledgement is "${ack ?? 'none'}"`);
  });
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
    const groups = rx.exec(sim.identity[i] as string)?.groups;
    const wrong = Object.entries(must).find(([name, value]) => groups?.[name] !== value);
    if (!rx.test(sim.identity[i] as string) || wrong !== undefined)
      throw invalidProfile(`sim.identity.${i}`, `"${sim.identity[i]}" is not what the identity step wants`);
  });
  for (const [as, line] of Object.entries(sim.errors))
    if (profile.errors.find(({ rx }) => rx.test(line))?.as !== as)
      throw invalidProfile(`sim.errors.${as}`, `"${line}" is not taken for that error`);
  const { banner } = sim;
  if (banner !== undefined && profile.unsolicited.find(({ rx }) => rx.test(banner))?.means !== 'reboot')
    throw invalidProfile('sim.banner', `"${banner}" is not taken for a reboot`);
  for (const [key, drive] of Object.entries(sim.drives ?? {})) {
    const path = `sim.drives.${key}`;
    const target = typeof drive === 'string' ? drive : drive.to;
    const parameter = profile.params.get(key.split('@')[0] as string);
    if (parameter === undefined || !indicesOf(parameter).some((i) => settingKey(parameter, i) === key))
      throw invalidProfile(path, 'there is no such setting');
    if ((target === 'muted') !== (parameter.kind === 'bool') || parameter.kind === 'enum')
      throw invalidProfile(path, `a parameter of kind ${parameter.kind} cannot drive ${target}`);
    if (target === 'delaySeconds') {
      const scale = typeof drive === 'string' ? 1 : drive.scale;
      const ends = parameter.taper.sample(2) as SettingValue[];
      if (ends.some((value) => (value as number) * scale < 0)) throw invalidProfile(path, 'a delay cannot be negative');
    }
  }
}
