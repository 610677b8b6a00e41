/** What a job must be for this rig to take it: everything that can be known before a sample is fetched. Nothing is ever clamped. */

import { checkRecipient, sealedSize } from '../../certs/sealing.js';
import type { BounceJob, CalibrationFile, GrantPayload, RigConfig } from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import { secondsToFrames } from '../../core/units.js';
import { wavBytes } from '../../drivers/audio/wav-writer.js';
import type { Profile } from '../../drivers/processors/profile.js';
import { checkSettings, maxGainDb, readable } from '../../drivers/processors/settings.js';
import { trimsOf } from '../calibration-file.js';
import { patchbaysOf, routesReadable } from '../patchbay-routes.js';
import { haveInCommon, type IsolatedInsert, isolatedInserts } from './isolation.js';

/** One insert of a job's chain with all that the configuration says of it. */
export interface PlannedHop {
  processor: string;
  insert: string;
  sends: number[];
  returns: number[];
  latencyFrames: number;
  driveDb: number;
  /** What calibration adds before the converter and behind it, per channel, dB. */
  sendTrimDb: number[];
  returnTrimDb: number[];
  settings: BounceJob['chain'][number]['settings'];
  verify: 'required' | 'sent-ok';
  maxGainDb: number;
}

export interface JobPlan {
  tenant: string;
  rate: number;
  channels: number;
  hops: PlannedHop[];
  region: { start: number; frames: number };
  tailFrames: number;
  resultFrames: number;
  /** Size of the sealed result: known before, because WAV and age sizes are. */
  resultBytes: number;
  /** Version of the calibration in force. */
  calibration: string | null;
  /** What each insert can hold and add, for isolation. */
  inserts: IsolatedInsert[];
  /** The patchbays that the inserts lead through. */
  patchbays: string[];
}

/**
 * Checks a job against the configuration and the profiles, and works out what it needs.
 *
 * @throws OutboardError job.* | chain.* | interface.rate | grant.recipient, each naming the path, the value and what is allowed.
 */
export async function planJob(
  job: BounceJob,
  grant: GrantPayload,
  config: RigConfig,
  profiles: ReadonlyMap<string, Profile>,
  calibration: CalibrationFile | null,
): Promise<JobPlan> {
  const { format } = grant.source;
  const { limits } = config;
  if (!config.interface.rates.includes(format.rate))
    throw new OutboardError(
      'interface.rate',
      `the interface runs ${config.interface.rates.join(', ')} Hz, not ${format.rate}`,
      {
        details: { path: 'source.format.rate', value: format.rate, allowed: config.interface.rates },
      },
    );
  limit('source.format.frames', format.frames, limits.maxFrames);
  limit('job.tail', job.tail, limits.maxTailSeconds);
  limit('job.chain', job.chain.length, limits.maxChain);
  limit('recipients', grant.recipients.length, limits.maxRecipients);
  for (const recipient of grant.recipients) await checkRecipient(recipient);
  const region = job.region ?? { start: 0, frames: format.frames };
  if (region.start + region.frames > format.frames)
    throw new OutboardError(
      'job.region',
      `frames ${region.start} to ${region.start + region.frames} are not all in the source of ${format.frames}`,
      {
        details: { path: 'job.region', value: region, frames: format.frames },
      },
    );
  const hops = job.chain.map((link, index) =>
    planHop(link, `job.chain[${index}]`, format.channels, config, profiles, calibration),
  );
  const used = new Set<string>();
  for (const [index, hop] of hops.entries()) {
    if (used.has(hop.insert))
      throw new OutboardError('chain.insert', `job.chain[${index}]: the insert ${hop.insert} is in the chain twice`, {
        details: { path: `job.chain[${index}].processor`, value: hop.processor },
      });
    const rival = [...used].find((name) => haveInCommon(config.inserts[name]!, config.inserts[hop.insert]!));
    if (rival !== undefined)
      throw new OutboardError(
        'chain.insert',
        `job.chain[${index}]: the inserts ${rival} and ${hop.insert} share channels or crosspoints and cannot be connected at once`,
        { details: { path: `job.chain[${index}].processor`, value: hop.processor } },
      );
    used.add(hop.insert);
  }
  const tailFrames = secondsToFrames(job.tail, format.rate);
  const resultFrames = region.frames + tailFrames;
  const plainBytes = wavBytes({
    rate: format.rate,
    channels: format.channels,
    encoding: job.output.encoding,
    frames: resultFrames,
  });
  return {
    tenant: grant.tenant,
    rate: format.rate,
    channels: format.channels,
    hops,
    region,
    tailFrames,
    resultFrames,
    resultBytes: await sealedSize(plainBytes, grant.recipients),
    calibration: calibration?.version ?? null,
    inserts: isolatedInserts(hops),
    patchbays: patchbaysOf(config, [...used]),
  };
}

function planHop(
  link: BounceJob['chain'][number],
  path: string,
  channels: number,
  config: RigConfig,
  profiles: ReadonlyMap<string, Profile>,
  calibration: CalibrationFile | null,
): PlannedHop {
  const processor = Object.hasOwn(config.processors, link.processor) ? config.processors[link.processor] : undefined;
  const insertName = processor?.insert;
  if (!processor || insertName === undefined)
    throw new OutboardError(
      'job.processor',
      `${path}.processor: this rig has no processor "${link.processor}" on an insert`,
      {
        details: { path: `${path}.processor`, value: link.processor, allowed: Object.keys(config.processors) },
      },
    );
  const insert = config.inserts[insertName]!;
  if (insert.sends.length !== channels)
    throw new OutboardError(
      'chain.width',
      `${path}: the insert ${insertName} has ${insert.sends.length} channels, the source ${channels}`,
      {
        details: { path, insert: insertName, insertChannels: insert.sends.length, sourceChannels: channels },
      },
    );
  const profile = profiles.get(processor.profile)!;
  checkSettings(profile, link.settings, `${path}.settings`);
  refuseRoutes(profile, link.settings, `${path}.settings`);
  const routed = patchbaysOf(config, [insertName]).every((bay) =>
    routesReadable(profiles.get(config.processors[bay]!.profile)!),
  );
  if (link.verify === 'required' && !(readable(profile, link.settings) && routed))
    throw new OutboardError(
      'job.verify',
      `${path}.verify: ${routed ? profile.id : 'the patchbay in front of it'} cannot read every one of these settings back`,
      {
        details: { path: `${path}.verify`, value: link.verify },
      },
    );
  return {
    processor: link.processor,
    insert: insertName,
    sends: insert.sends,
    returns: insert.returns,
    latencyFrames: insert.latencyFrames,
    driveDb: link.driveDb ?? 0,
    ...trimsOf(calibration, insertName, channels),
    settings: link.settings,
    verify: link.verify,
    maxGainDb: maxGainDb(profile, link.settings),
  };
}

/** Where sound goes is never up to a job: the rig derives it from the chain. */
function refuseRoutes(profile: Profile, settings: BounceJob['chain'][number]['settings'], path: string): void {
  for (const [key, value] of Object.entries(settings)) {
    if (profile.params.get(key.split('@')[0]!)?.kind !== 'route') continue;
    throw new OutboardError('job.setting', `${path}.${key}: a route is no setting of a job: the rig derives it`, {
      details: { path: `${path}.${key}`, value },
    });
  }
}

function limit(path: string, value: number, allowed: number): void {
  if (value > allowed)
    throw new OutboardError('job.limit', `${path}: ${value} is over this rig's limit of ${allowed}`, {
      details: { path, value, allowed },
    });
}
