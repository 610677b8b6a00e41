/** Which takes a fault of the stream touches, and the error of a take that it has spoiled. */
import { isOutboardError, OutboardError } from '../../../core/errors.js';
import type { Fault } from '../../../drivers/audio/port.js';

interface Range {
  from: number;
  to: number;
}

/** What of a take a fault can hit, in frames of the stream. */
export interface Exposure {
  /** Sends that are armed, and how far they are written. */
  readonly lanes: readonly (Range & { readonly written: number; readonly sends?: readonly number[] })[];
  /** Capture frames that it uses. */
  readonly captures: readonly Range[];
}

/** Faults after which there is no stream to roll on. */
export function endsStream(fault: Fault): boolean {
  return ['lost', 'stalled', 'claim-lost', 'slipped'].includes(fault.kind);
}

export function isCaptureFault(fault: Fault): boolean {
  return fault.kind === 'xrun-in' || fault.kind === 'dropped';
}

/**
 * The takes that a fault spoils. A gap in the capture hits every take that uses one of its frames, an xrun of the playback every take
 * that plays then. Starved frames belong to those takes only that had not written them; when all had, nobody is cleared. A fault that
 * does not say where it was hits all.
 */
export function touchedBy<T extends Exposure>(fault: Fault, takes: Iterable<T>): T[] {
  const all = [...takes];
  if (fault.atFrame === null || endsStream(fault)) return all;
  const gap = {
    from: fault.atFrame,
    to: fault.frames === null ? Number.POSITIVE_INFINITY : fault.atFrame + fault.frames,
  };
  if (isCaptureFault(fault)) return all.filter((take) => take.captures.some((range) => overlap(range, gap)));
  const playing = all.filter((take) => take.lanes.some((lane) => overlap(lane, gap)));
  // Where the driver names the channels, nobody else is meant.
  const { channels } = fault;
  if (fault.kind === 'starved' && channels)
    return playing.filter((take) =>
      take.lanes.some((lane) => overlap(lane, gap) && (lane.sends?.some((send) => channels.includes(send)) ?? true)),
    );
  if (fault.kind !== 'starved') return playing;
  const behind = playing.filter((take) =>
    take.lanes.some((lane) => overlap(lane, gap) && lane.written < Math.min(lane.to, gap.to)),
  );
  return behind.length > 0 ? behind : playing;
}

export function spoiled(faults: readonly Fault[]): OutboardError {
  const told = faults.map(({ kind, atFrame, frames }) => ({ kind, atFrame, frames }));
  const first = told[0];
  const where = first && first.atFrame !== null ? ` at frame ${first.atFrame}` : '';
  const how = first && first.frames !== null ? `, ${first.frames} frames` : '';
  return new OutboardError('take.spoiled', `the stream was not continuous: ${first?.kind ?? 'unknown'}${where}${how}`, {
    details: { faults: told },
  });
}

/** True of a take that was spoiled because samples were not there in time. */
export function isStarvation(error: unknown): boolean {
  if (!isOutboardError(error, 'take.spoiled')) return false;
  const faults = error.details['faults'] as { kind: string }[] | undefined;
  return faults?.[0]?.kind === 'starved';
}

function overlap(a: Range, b: Range): boolean {
  return a.from < b.to && b.from < a.to;
}
