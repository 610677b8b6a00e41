/** A report of a rig that was measured for half a year: one insert in good order, one with a unit that has aged. */
import { History, runDigest } from '../../calibration/history/history.js';
import { assess, effectiveLimits, type LimitedInsert } from '../../calibration/limits/index.js';
import { type Report, runsToReport } from '../../calibration/report/page.js';
import type { CalibrationRun, UnjudgedRun } from '../../core/contract/index.js';
import { calibrationRun, EPOCH } from './calibration-runs.js';

const WEEK = 7;

/** A token as a rig makes it but for the signature: a report shows it, it does not verify it. */
function unverifiable(run: CalibrationRun): string {
  const { run: id, insert, kind, passed, virtual } = run;
  const payload = { calibration: { run: id, insert, kind, passed, virtual, document: runDigest(run) } };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'EdDSA', kid: 'k'.repeat(43) })}.${part(payload)}.e30`;
}

export function calibrationReport(): Report {
  const history = new History(':memory:');
  history.open();
  const unit: UnjudgedRun['conditions']['processors'] = [
    {
      name: 'eq-1',
      profile: { id: 'virtual.gain', version: '1.0.0', hash: `sha256:${'0'.repeat(64)}` },
      settings: { gain: 0, 'bypass@channel=1': true },
    },
  ];
  const inserts: [LimitedInsert, UnjudgedRun['conditions']['processors']][] = [
    [{ name: 'a', processors: [] }, []],
    [{ name: 'b', processors: [{ name: 'eq-1', classes: ['eq'] }] }, unit],
  ];
  let n = 0;
  const reports = inserts.map(([insert, processors]) => {
    const limits = effectiveLimits(insert, null);
    const aged = processors.length > 0;
    for (let week = 0; week < 26; week++) {
      const last = week === 25;
      const run = calibrationRun({
        n: ++n,
        insert: insert.name,
        at: EPOCH + week * WEEK * 86_400,
        processors,
        traces: last,
        scatterDb: 0.02,
        ...(aged && { loopGainDb: -week * 0.022, worseDb: 24 + week * 0.2, fullScaleDbu: null }),
      });
      const refusal = { reason: 'clipped', message: 'full scale from sample 4711 on' } as const;
      if (aged && last)
        run.measurements = run.measurements.map((m) =>
          m.name === 'dynamic_range_ccirrms_db' && m.channel === 2 ? { ...m, value: null, valid: false, refusal } : m,
        );
      const judged = assess(run, limits, history);
      history.add(judged, unverifiable(judged));
    }
    const measured = [...limits.limits, ...limits.drift].map(({ measurement }) => measurement);
    return {
      history: {
        rig: 'rig-01',
        insert: insert.name,
        calibration: '2026-01-05.1',
        set: null,
        limits,
        baselines: history.baselines(insert.name),
        series: history.series({ insert: insert.name, names: [...new Set(measured)] }),
      },
      runs: runsToReport(history.standing(insert.name)).map((summary) => {
        const { run, token } = history.get(summary.run);
        return { document: run, token };
      }),
    };
  });
  history.close();
  return { rig: 'rig-01', at: EPOCH + 183 * 86_400, software: '0.1.0', inserts: reports };
}
