/** The checks of courier.yaml. The broker and the store are not called: a check says nothing about tomorrow's network. */
import { stat } from 'node:fs/promises';
import { CourierConfig } from '../../../core/contract/config.js';
import { loadConfig } from '../../config-file.js';
import { checkTls } from './parts.js';
import { socketPathFinding } from './paths.js';
import { type CheckReport, only } from './report.js';

/** @param now wall clock, seconds */
export async function checkCourier(report: CheckReport, file: string, now: number): Promise<void> {
  const loaded = await report.run('configuration', async () => ({
    finding: file,
    value: await loadConfig(file, CourierConfig),
  }));
  if (!loaded) return;
  const { config, resolve } = loaded;
  await report.run('socket', async () => {
    const path = resolve(config.socket);
    const finding = socketPathFinding(path);
    const found = await stat(path).catch(() => undefined);
    if (!found) return only({ warn: `${path} is not there: outboardd does not run, or has it elsewhere` });
    return only(found.isSocket() ? finding : { warn: `${path} is no socket` });
  });
  await checkTls(report, 'broker certificate', { files: config.broker.tls, resolve, commonName: config.rig, now });
  await checkTls(report, 'store certificate', { files: config.store.tls, resolve, commonName: config.rig, now });
}
