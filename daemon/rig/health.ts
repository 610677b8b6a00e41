/** The health documents: what a person or a monitoring system should know about each part of the rig, in one sentence a check. */
import type { HealthCheck, HealthPayload, HealthStatus, LinkReport, Subsystem } from '../../core/contract/index.js';
import { nowSeconds } from '../../core/units.js';
import type { ClockSync } from '../clock-sync.js';
import { hostChecks } from './host-checks.js';
import type { InterfaceKeeper } from './interface-keeper.js';
import type { Journal } from './journal/journal.js';
import { isWell, type Rack } from './rack.js';
import type { Transfers } from './transfers.js';
import type { TrustStore } from './trust-store.js';

export interface HealthSources {
  clock: ClockSync;
  keeper: InterfaceKeeper;
  rack: Rack;
  journal: Journal;
  trust: TrustStore;
  transfers: Transfers;
  stateDir: string;
  link(): LinkReport | null;
}

export async function healthOf(sources: HealthSources): Promise<HealthPayload['health'][]> {
  return [
    subsystem('host', [sources.clock.check(), ...hostChecks(sources.stateDir)]),
    subsystem('interface', sources.keeper.checks()),
    subsystem('processors', processorChecks(sources.rack)),
    subsystem('journal', journalChecks(sources.journal)),
    subsystem('trust', trustChecks(sources.trust)),
    subsystem('courier', courierChecks(sources.link(), sources.transfers)),
  ];
}

function subsystem(name: Subsystem, checks: HealthCheck[]): HealthPayload['health'] {
  const order: HealthStatus[] = ['ok', 'degraded', 'failed'];
  const status = checks.reduce<HealthStatus>(
    (worst, check) => (order.indexOf(check.status) > order.indexOf(worst) ? check.status : worst),
    'ok',
  );
  return { subsystem: name, status, checks };
}

function processorChecks(rack: Rack): HealthCheck[] {
  return rack.units.map((unit) => {
    const well = isWell(unit.state);
    if (well && rack.owed.has(unit.name))
      return {
        name: unit.name,
        status: 'failed',
        detail: `${unit.profile.id} is not in its safe state: ${rack.unsafe(unit.name)?.message ?? 'it is being recalled'}`,
      };
    const fault = unit.lastFault && !well ? `: ${unit.lastFault.message}` : '';
    const safety = rack.safety(unit.name);
    const safe = well && safety !== null ? `; its safe state was last ${safety}` : '';
    const detail = `${unit.profile.id} is ${unit.state}${fault}${safe}`;
    return { name: unit.name, status: well ? 'ok' : 'failed', detail };
  });
}

function journalChecks(journal: Journal): HealthCheck[] {
  const open = journal.outbox.open();
  const head = journal.audit.head();
  return [
    { name: 'audit', status: 'ok', detail: `${head.seq} entries`, value: head.seq, unit: '1' },
    {
      name: 'outbox',
      status: open > 10_000 ? 'degraded' : 'ok',
      detail: `${open} documents wait to be acknowledged`,
      value: open,
      unit: '1',
    },
  ];
}

function trustChecks(trust: TrustStore): HealthCheck[] {
  const bundle = trust.inForce;
  if (!bundle) return [{ name: 'bundle', status: 'failed', detail: 'no trust bundle is in force' }];
  const now = nowSeconds();
  const left = bundle.payload.exp - now;
  const days = `${(left / 86_400).toFixed(1)} days left`;
  if (left <= 0)
    return [{ name: 'bundle', status: 'failed', detail: 'the trust bundle has expired: no new job is taken' }];
  const half = now >= bundle.halfLife;
  return [
    {
      name: 'bundle',
      status: half ? 'degraded' : 'ok',
      detail: `version ${bundle.payload.version}, ${days}${half ? ': more than half of its life is over, publish a new one' : ''}`,
      value: left,
      unit: 's',
    },
  ];
}

function courierChecks(link: LinkReport | null, transfers: Transfers): HealthCheck[] {
  if (!link) return [{ name: 'link', status: 'degraded', detail: 'the courier has not said anything yet' }];
  const problem = link.problem ? `: ${link.problem.message}` : '';
  return [
    {
      name: 'broker',
      status: link.broker === 'connected' ? 'ok' : 'degraded',
      detail: `the courier says: ${link.broker}${link.protocol ? ` with ${link.protocol}` : ''}${problem}`,
    },
    {
      name: 'store',
      status: link.store === 'unreachable' || transfers.lastProblem ? 'degraded' : 'ok',
      detail: transfers.lastProblem ?? `the courier says: ${link.store}`,
    },
  ];
}
