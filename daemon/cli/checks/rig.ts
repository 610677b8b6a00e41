/** The checks of rig.yaml: what outboardd will need when it starts, looked at with the same code where that is possible. */
import type { RigConfig } from '../../../core/contract/config.js';
import { OutboardError } from '../../../core/errors.js';
import { VirtualAnalog } from '../../../drivers/audio/virtual-analog.js';
import { createUnit, loadProfiles } from '../../../drivers/processors/index.js';
import { modifierOf } from '../../audio-driver.js';
import { loadCalibration } from '../../calibration-file.js';
import { createClockSync } from '../../clock-sync.js';
import { loadMeasurementLimits } from '../../measurement-limits-file.js';
import { checkPatchbays } from '../../patchbay-routes.js';
import { type LoadedRigConfig, loadRigConfig } from '../../rig-config.js';
import { type UnitPort, unitPort } from '../../unit-port.js';
import { driverFinding, interfaceFinding } from './interface.js';
import { checkKey, checkSecretFile, checkTrust } from './parts.js';
import { socketPathFinding, stateDirFinding } from './paths.js';
import { type CheckReport, only } from './report.js';

const JOURNAL_KEY_BYTES = 32;
const IDENTIFY_MS = 10_000;

/** @param now wall clock, seconds */
export async function checkRig(report: CheckReport, file: string, now: number): Promise<void> {
  const loaded = await report.run('configuration', async () => {
    const value = await loadRigConfig(file);
    return { finding: `${file}, ${value.config.production ? 'production' : 'not for production'}`, value };
  });
  if (!loaded) return;
  const { config, resolve } = loaded;
  await report.run('state folder', async () =>
    only(await stateDirFinding(resolve(config.stateDir), config.limits.spoolBytes)),
  );
  for (const name of ['courier', 'control'] as const)
    await report.run(`${name} socket`, async () => only(socketPathFinding(resolve(config.sockets[name]))));

  const { bundle: bundleFile, roots } = config.trust;
  const bundle = await checkTrust(report, bundleFile && resolve(bundleFile), roots, now);
  const key = { name: config.rig, bundle, now };
  await checkKey(report, 'signing key', { ...key, file: resolve(config.keys.signing), curve: 'Ed25519' });
  for (const file of [config.keys.wrapping].flat())
    await checkKey(report, 'wrapping key', { ...key, file: resolve(file), curve: 'X25519' });
  await report.run('journal key', async () => {
    const { keyFile } = config.journal;
    if (keyFile === undefined)
      return only({ warn: 'not looked at: it comes from $CREDENTIALS_DIRECTORY/journal.key when outboardd starts' });
    return only(await checkSecretFile(resolve(keyFile), JOURNAL_KEY_BYTES));
  });
  await report.run('clock', async () => only(clockFinding(config.clock.sync)));
  await checkDevices(report, loaded);
}

function clockFinding(sync: RigConfig['clock']['sync']) {
  const { status, detail } = createClockSync(sync).check();
  if (status === 'failed') throw new OutboardError('rig.clock', detail);
  return status === 'ok' ? detail : { warn: detail };
}

async function checkDevices(report: CheckReport, loaded: LoadedRigConfig): Promise<void> {
  const { config } = loaded;
  const { interface: audio } = config;
  const analog = audio.driver === 'virtual' ? new VirtualAnalog(config.inserts, audio.crosstalk, audio.leakage) : null;
  const { driver } = config.interface;
  if (driver !== 'virtual') await report.run('audio driver', async () => only(driverFinding(driver)));
  await report.run('interface', async () => only(await interfaceFinding(loaded)));
  if (config.calibration !== undefined)
    await report.run('calibration', async () => {
      const { version, inserts } = (await loadCalibration(loaded))!;
      return only(`version ${version}, trims of ${Object.keys(inserts).join(', ') || 'no insert'}`);
    });
  for (const [name, insert] of Object.entries(config.inserts))
    report.add(
      `insert ${name}`,
      `sends ${insert.sends.join(',')}, returns ${insert.returns.join(',')}, ${insert.latencyFrames} frames`,
    );
  const profiles = await report.run('profiles', async () => {
    const value = await loadProfiles();
    return { finding: [...value.values()].map((p) => `${p.id} ${p.version}`).join(', '), value };
  });
  if (!profiles) return;
  if (config.measurementLimits !== undefined)
    await report.run('measurement limits', async () => {
      const limits = [...(await loadMeasurementLimits(loaded, profiles))];
      const version = limits[0]?.[1].version;
      return only(
        `version ${version}: ${limits.map(([insert, { class: kind }]) => `${insert} as ${kind}`).join(', ')}`,
      );
    });
  if (Object.values(config.processors).every(({ profile }) => profiles.has(profile)))
    await report.run('patchbays', async () => {
      checkPatchbays(config, profiles);
      const names = Object.entries(config.processors).flatMap(([name, { patchbay }]) => (patchbay ? [name] : []));
      return only(names.length === 0 ? 'none' : `${names.join(', ')}: every crosspoint exists`);
    });
  for (const [name, processor] of Object.entries(config.processors))
    await report.run(`processor ${name}`, async () => {
      const port = unitPort(name, processor, profiles);
      await identify(name, port, processor.insert, analog);
      const { id, version, identityStrength } = port.profile;
      const where = processor.insert === undefined ? 'on no insert' : `on insert ${processor.insert}`;
      const kind = 'virtual' in processor.port ? ', simulated' : '';
      return only(`${id} ${version} ${where}${kind}, ${identityStrength === 'none' ? 'opened' : 'identified'}`);
    });
}

/** Opens the unit and asks who it is, as outboardd does. @throws OutboardError processor.* */
async function identify(name: string, port: UnitPort, insert: string | undefined, analog: VirtualAnalog | null) {
  const modifier = modifierOf(analog, name, insert);
  const unit = createUnit({ name, profile: port.profile, transport: port.transport(modifier) });
  try {
    await unit.start(AbortSignal.timeout(IDENTIFY_MS));
    if (unit.state !== 'ready')
      throw unit.lastFault ?? new OutboardError('processor.lost', `${name} is ${unit.state}, not ready`);
  } finally {
    await unit.stop();
  }
}
