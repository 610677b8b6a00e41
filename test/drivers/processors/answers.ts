/** The right answers of every profile's units to every question, for tests that damage them. */
import { indicesOf, type Parameter } from '../../../drivers/processors/parameter.js';
import { loadProfiles, type Profile } from '../../../drivers/processors/profile.js';
import { settingKey } from '../../../drivers/processors/settings.js';
import { SimulatedUnit } from '../../../drivers/processors/simulated-unit.js';
import type { Answers } from './fuzz.js';

export async function profilesAnswers(): Promise<Answers[]> {
  const found: Answers[] = [];
  for (const profile of (await loadProfiles()).values()) {
    const unit = new SimulatedUnit(profile, { gainDb: 0, muted: false, delaySeconds: 0 });
    for (const parameter of profile.params.values()) {
      const { read } = parameter.codec;
      const [index] = indicesOf(parameter);
      if (read === undefined || index === undefined) continue;
      const question = read.kind === 'ask' ? read.tx(index) : profile.dumps.get(read.dump(index))?.tx;
      if (question === undefined) continue;
      // In the hands of whoever stands at it, a machine answers nothing.
      if (profile.params.has('local')) unit.turn('local', false);
      const frames: { wire: string; value: Answers['frames'][number]['value'] }[] = [];
      // Every value: a damaged answer that is right for another one is no fault of the reader.
      for (const value of parameter.taper.sample(100_000)) {
        unit.turn(settingKey(parameter, index), value);
        const answer = unit.obey(question);
        if (answer !== undefined) frames.push({ wire: answer + profile.framing.rxEnd, value });
      }
      if (frames.length > 0)
        found.push({ profile, parameter, index, frames, essence: essenceOf(profile, parameter, frames) });
    }
  }
  return found;
}

function essenceOf(profile: Profile, parameter: Parameter, frames: Answers['frames']): Answers['essence'] {
  const { read } = parameter.codec;
  if (read?.kind === 'dump') return bitsThatMove(recordsOf(profile), frames);
  return (profile.driver === 'sony9pin' ? NINE_PIN[parameter.name] : undefined) ?? ((message) => message);
}

type Records = (message: string) => Map<string, number>;

/** The bytes of a dump by their keys, read from the pattern in the profile's text. */
function recordsOf({ document }: Profile): Records {
  const [dump] = Object.values(document.dumps ?? {});
  const [head = '', tail = ''] = dump!.reply.split('...').map((part) => part.trim());
  const [begin, end] = [head.split(' ').length, tail.split(' ').length];
  const { keyBytes } = dump!.body;
  return (message) => {
    const body = message.slice(begin, -end);
    const records = new Map<string, number>();
    for (let at = 0; at < body.length; at += keyBytes + 1)
      records.set(keyBytes === 0 ? String(at) : body.slice(at, at + keyBytes), body.charCodeAt(at + keyBytes));
    return records;
  };
}

/** The bits in which the unit's answers for different values differ. */
function bitsThatMove(records: Records, frames: Answers['frames']): Answers['essence'] {
  const all = frames.map(({ wire }) => records(wire));
  const masks = [...all[0]!].map(
    ([key, first]) => [key, all.reduce((mask, each) => mask | (first ^ each.get(key)!), 0)] as const,
  );
  return (message) => {
    const bytes = records(message);
    return JSON.stringify(masks.map(([key, mask]) => (mask === 0 ? 0 : bytes.get(key)! & mask)));
  };
}

/** The status of a transport tells many things at once. Bits by the second data byte of the protocol's table; what says more comes first. */
const MOTION_BITS = [1, 0, 2, 3, 4, 5];
const NINE_PIN: Readonly<Record<string, Answers['essence']>> = {
  transport: (message) => String(MOTION_BITS.find((bit) => (message.charCodeAt(3) >> bit) & 1)),
  standby: (message) => String(message.charCodeAt(3) >> 7),
  local: (message) => String(message.charCodeAt(2) & 1),
  // The time, read or counted on.
  cue: (message) => `${message.charCodeAt(1) & ~0x10}:${message.slice(2, -1)}`,
};
