/** What a person should know about the interface: one sentence a check, from what its keeper knows now. */
import type { HealthCheck } from '../../core/contract/index.js';
import type { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { ClaimCheck, ClaimProof, Granted } from '../../drivers/audio/port.js';
import { faultText, type StreamFaults } from './stream-faults.js';

export interface InterfaceView {
  device: string;
  /** Why no take can roll now. */
  trouble: OutboardError | null;
  /** Null while the device is not held. */
  proof: ClaimProof | null;
  /** Null while no stream runs. */
  granted: Granted | null;
  latency: LoopLatency | null;
  /** Hz, as configured. */
  rates: readonly number[];
  /** Rates of the configuration that the device did not run when they were asked for. */
  refused: ReadonlyMap<number, OutboardError>;
  faults: StreamFaults;
}

export interface LoopLatency {
  frames: number;
  /** What was measured beyond whole frames. */
  fraction: number;
  source: 'driver' | 'configured' | 'sync';
}

/** A fault is news for this long. */
const RECENT_SECONDS = 600;
const SOURCES = {
  driver: 'told by the driver',
  configured: 'as configured',
  sync: 'measured through the sync wire',
} as const;

export function interfaceChecks(view: InterfaceView): HealthCheck[] {
  return [...claimChecks(view), formatCheck(view), ratesCheck(view), latencyCheck(view), faultsCheck(view)];
}

function claimChecks({ device, proof, trouble }: InterfaceView): HealthCheck[] {
  if (!proof)
    return [
      { name: 'claim', status: 'failed', detail: `waits for ${device}: ${trouble?.message ?? 'not claimed yet'}` },
    ];
  const held: HealthCheck = {
    name: 'claim',
    status: proof.exclusive ? 'ok' : proof.checks.some((check) => check.holds === false) ? 'failed' : 'degraded',
    detail: `${proof.device}: ${proof.detail}`,
  };
  return [held, ...proof.checks.map(proofCheck)];
}

/** What could not be looked at proves nothing: the claim is then held, and not shown to be alone. */
function proofCheck({ name, holds, detail }: ClaimCheck): HealthCheck {
  return { name: `claim.${name}`, status: holds === null ? 'degraded' : holds ? 'ok' : 'failed', detail };
}

function formatCheck({ granted, trouble }: InterfaceView): HealthCheck {
  if (!granted) return { name: 'format', status: 'failed', detail: trouble?.message ?? 'no stream runs' };
  const { inChannels, outChannels, format, periodFrames, periods, clock } = granted;
  const shape = `${inChannels} in, ${outChannels} out, ${format}, ${periods} periods of ${periodFrames} frames`;
  if (trouble) return { name: 'format', status: 'failed', detail: `${shape}: ${trouble.message}` };
  return { name: 'format', status: 'ok', detail: `${shape}, ${clock} clock` };
}

function ratesCheck({ granted, rates, refused }: InterfaceView): HealthCheck {
  const runs = granted ? `runs ${granted.rate} Hz` : 'runs no rate now';
  const faults = [...refused].map(([rate, error]) => `; ${rate} Hz was refused: ${error.message}`);
  return {
    name: 'rates',
    status: faults.length > 0 ? 'degraded' : 'ok',
    detail: `${runs} of ${rates.join(', ')}${faults.join('')}`,
    ...(granted ? { value: granted.rate, unit: 'Hz' } : {}),
  };
}

function latencyCheck({ latency }: InterfaceView): HealthCheck {
  if (!latency)
    return { name: 'latency', status: 'degraded', detail: 'the loop latency is not known while no stream runs' };
  const value = latency.frames + latency.fraction;
  return {
    name: 'latency',
    status: 'ok',
    // Whole frames are taken out of a take; the rest is told.
    detail: `${latency.frames} frames${Math.abs(latency.fraction) < 0.005 ? '' : ` and ${latency.fraction.toFixed(2)}`} from output to input, ${SOURCES[latency.source]}`,
    value,
    unit: 'frames',
  };
}

function faultsCheck({ faults }: InterfaceView): HealthCheck {
  const { last, total } = faults;
  if (!last) return { name: 'faults', status: 'ok', detail: 'no fault since the start', value: 0, unit: '1' };
  const counts = Object.entries(faults.counts).map(([kind, count]) => `${count} ${kind}`);
  const agoSeconds = Math.max(0, nowSeconds() - last.at);
  return {
    name: 'faults',
    status: agoSeconds < RECENT_SECONDS ? 'degraded' : 'ok',
    detail: `${counts.join(', ')} since the start; the last one ${agoSeconds} s ago: ${faultText(last)}`,
    value: total,
    unit: '1',
  };
}
