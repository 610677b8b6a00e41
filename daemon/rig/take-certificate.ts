/** The certificate of a take, from what was asked, what was read back and what the engine counted. It claims no right in the work. */
import { createHash } from 'node:crypto';
import type {
  Certificate,
  RecalledPatchbay,
  RecalledProcessor,
  RecalledSetting,
  RigConfig,
} from '../../core/contract/index.js';
import { ratioToDb } from '../../core/units.js';
import type { Profile } from '../../drivers/processors/profile.js';
import type { PreparedBounce } from './bounce.js';
import type { TakeReport } from './engine/spec.js';

const LOUDNESS_DEFINITION = 'loudness.bs1770-5/1';

export interface TakeRecord {
  prepared: PreparedBounce;
  attempt: number;
  report: TakeReport;
  /** Per hop, before and after the take. */
  recalled: RecalledSetting[][];
  readBack: RecalledSetting[][];
  /** The patchbays' routes, before and after the take. */
  patched: RecalledPatchbay[];
  patchedAfter: RecalledSetting[][];
  sealed: { digest: string; bytes: number };
  startedAt: number;
  endedAt: number;
}

export function certificateOf(
  take: TakeRecord,
  config: RigConfig,
  profiles: ReadonlyMap<string, Profile>,
): Certificate {
  const { prepared, report } = take;
  const { plan, grant, payload, job } = prepared;
  const processors: RecalledProcessor[] = plan.hops.map((hop, index) => {
    const { id, version, hash } = profiles.get(config.processors[hop.processor]!.profile)!;
    return {
      processor: hop.processor,
      insert: hop.insert,
      profile: { id, version, hash },
      driveDb: hop.driveDb,
      settings: withAfter(take.recalled[index]!, take.readBack[index]!),
    };
  });
  const patchbays = take.patched.map((bay, index) => ({
    ...bay,
    settings: withAfter(bay.settings, take.patchedAfter[index]!),
  }));
  return {
    job: job.jti,
    jobDigest: job.digest,
    grantDigest: `sha256:${createHash('sha256').update(payload.payload.job.grant).digest('hex')}`,
    source: grant.payload.source.digest,
    region: plan.region,
    tailFrames: plan.tailFrames,
    attempt: take.attempt,
    processors,
    ...(patchbays.length > 0 ? { patchbays } : {}),
    latency: report.latency,
    continuity: {
      streamFrames: { from: report.streamFrom, to: report.streamTo },
      framesPlayed: report.framesPlayed,
      framesRecorded: report.framesRecorded,
      xruns: report.xruns,
      starvedFrames: report.starvedFrames,
      droppedFrames: report.droppedFrames,
      clock: config.interface.driver === 'virtual' ? config.interface.clock : 'hardware',
    },
    dither: report.dither,
    peakDbfs: report.peak.map((peak) => (peak > 0 ? ratioToDb(peak) : null)),
    clippedSamples: report.clippedSamples,
    loudness: { definition: LOUDNESS_DEFINITION, integratedLufs: report.integratedLufs },
    calibration: plan.calibration,
    result: { ...resultShape(prepared), ...take.sealed },
    startedAt: take.startedAt,
    endedAt: take.endedAt,
  };
}

function withAfter(before: readonly RecalledSetting[], after: readonly RecalledSetting[]): RecalledSetting[] {
  return before.map((setting, position) => {
    const { readBack } = after[position]!;
    return readBack === undefined ? setting : { ...setting, readBackAfter: readBack };
  });
}

/** What the result's WAV is, known before its first sample. */
export function resultShape({ plan, payload }: PreparedBounce) {
  return {
    rate: plan.rate,
    channels: plan.channels,
    encoding: payload.payload.job.output.encoding,
    frames: plan.resultFrames,
  };
}
