/** The right answers of every profile's units to every question, for tests that damage them. */
import { indicesOf } from '../../../drivers/processors/parameter.js';
import { loadProfiles } from '../../../drivers/processors/profile.js';
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
      if (read === undefined || index === undefined || profile.driver !== undefined) continue;
      const question = read.kind === 'ask' ? read.tx(index) : profile.dumps.get(read.dump(index))?.tx;
      if (question === undefined) continue;
      const frames: string[] = [];
      // Every value: a damaged answer that is right for another one is no fault of the reader.
      for (const value of parameter.taper.sample(100_000)) {
        unit.turn(settingKey(parameter, index), value);
        const answer = unit.obey(question);
        if (answer !== undefined) frames.push(answer + profile.framing.rxEnd);
      }
      if (frames.length > 0) found.push({ profile, parameter, index, frames });
    }
  }
  return found;
}
