/** What each signed action of a technician does. */
import type { Mode, SessionAction } from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';
import type { HistoryArchive } from './calibration/history-archive.js';
import type { CalibrationRuns } from './calibration/runs.js';
import type { GearDesk } from './gear-desk.js';
import type { InsertMemory } from './insert-memory.js';
import type { Maintenance } from './maintenance.js';
import type { SessionHandler, SessionRequest } from './session-requests.js';

export interface SessionActionsContext {
  maintenance: Pick<Maintenance, 'enter' | 'exit' | 'release'>;
  gear: Pick<GearDesk, 'check' | 'set' | 'safe' | 'identify'>;
  runs: Pick<CalibrationRuns, 'begin' | 'answer' | 'requireNone'>;
  archive: Pick<HistoryArchive, 'setBaseline'>;
  memory: Pick<InsertMemory, 'declare'>;
  mode(): Mode;
}

export function sessionActions(c: SessionActionsContext): Record<SessionAction, SessionHandler> {
  const { maintenance, gear, runs, archive, memory } = c;
  /** Draining is not enough: a take may still use the unit. */
  const inMaintenance = (what: string) => {
    const mode = c.mode();
    if (mode !== 'maintenance') throw new OutboardError('rig.mode', `${what} in maintenance only; the rig is ${mode}`);
  };
  const onProcessor = (handle: (name: string, request: SessionRequest) => ReturnType<SessionHandler['handle']>) => ({
    audited: ({ processor, settings }: SessionRequest) => ({ processor: processor ?? null, settings: settings ?? {} }),
    handle: (request: SessionRequest) => {
      inMaintenance('processors are set');
      // Also not the neighbours of what is measured: they are listened to.
      runs.requireNone();
      return handle(gear.check(request.processor, undefined), request);
    },
  });
  const onRig = (handle: (request: SessionRequest) => void | Promise<void>): SessionHandler => ({
    audited: ({ seconds }) => ({ seconds }),
    handle: async (request) => {
      await handle(request);
      return {};
    },
  });
  return {
    'maintenance.enter': onRig(({ seconds, reason, technician }) => maintenance.enter(seconds, reason, technician)),
    'maintenance.exit': onRig(() => maintenance.exit('a technician ended it')),
    'maintenance.release': onRig(({ reason }) => maintenance.release(reason)),
    'maintenance.insert': {
      audited: ({ holds }) => ({ holds: holds ?? null }),
      handle: ({ holds, technician, reason }) => {
        inMaintenance('it is said what inserts hold');
        if (!holds) throw missing('holds');
        memory.declare(holds, technician, reason);
        return {};
      },
    },
    'processors.set': onProcessor(async (name, { settings = {} }) => {
      gear.check(name, settings);
      return { settings: await gear.set(name, settings) };
    }),
    'processors.safe': onProcessor(async (name) => ({ settings: await gear.safe(name) })),
    'processors.identify': onProcessor(async (name) => ({ identity: { ...(await gear.identify(name)) } })),
    'calibrate.start': {
      audited: ({ calibration }) => ({ calibration: calibration ?? null }),
      handle: ({ calibration, technician, reason, connection }) => {
        inMaintenance('inserts are measured');
        if (!calibration) throw missing('calibration');
        return { run: runs.begin(calibration, { technician, reason, connection }) };
      },
    },
    'calibrate.answer': {
      audited: ({ reading }) => ({ reading: reading ?? null }),
      handle: ({ reading }) => {
        if (!reading) throw missing('reading');
        runs.answer(reading);
        return {};
      },
    },
    'calibrate.baseline': {
      audited: ({ baseline }) => ({ baseline: baseline ?? null }),
      handle: ({ baseline, technician, reason }) => {
        if (!baseline) throw missing('baseline');
        archive.setBaseline(baseline, technician, reason);
        return {};
      },
    },
  };
}

function missing(field: string): OutboardError {
  return new OutboardError('envelope.schema', `session.${field}: this action needs it`);
}
