/** What the read-backs before and after a take have to say for the take to count. */
import type { RecalledSetting } from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import type { Profile } from '../../drivers/processors/profile.js';
import { drifted } from './gear-watch.js';
import type { JobPlan } from './job-rules.js';

/** @throws OutboardError processor.unverified for what the job wants verified and is not */
export function verifyRecall({ hops }: Pick<JobPlan, 'hops'>, recalled: readonly RecalledSetting[][]): void {
  for (const [index, { processor, verify }] of hops.entries())
    for (const { name, state } of recalled[index]!)
      if (verify === 'required' && state !== 'verified')
        throw new OutboardError('processor.unverified', `${processor} does not report ${name} as it was set`, {
          details: { processor, setting: name },
        });
}

/** Of what was verified before a take what has to stay so until its end: not what moves by itself while it rolls. */
export function lasting(profile: Profile, recalled: readonly RecalledSetting[]): RecalledSetting[] {
  return recalled.filter(
    ({ name, state }) => state === 'verified' && !profile.params.get(name.split('@')[0]!)?.verifyOnce,
  );
}

/**
 * @param before what had to last, in the order of the units
 * @throws OutboardError take.drift for what did not
 */
export function verifyAfterTake(
  units: readonly { processor: string }[],
  before: readonly RecalledSetting[][],
  after: readonly RecalledSetting[][],
): void {
  for (const [index, { processor }] of units.entries())
    for (const { name } of before[index]!) {
      const now = after[index]!.find((setting) => setting.name === name);
      if (now?.state !== 'verified') throw drifted(processor, name, now?.readBack);
    }
}
