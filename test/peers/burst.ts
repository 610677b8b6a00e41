/** Many valid offers at once, by a plain MQTT client: as fast as the broker takes them, and every verdict counted. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { verifyEnvelope } from '../../certs/envelope.js';
import { type EventPayload, topics } from '../../core/contract/index.js';
import { nowSeconds } from '../../core/units.js';
import { jobFor, storedSource } from './jobs.js';
import { VOICE } from './recordings.js';
import { type Stack, until } from './stack.js';

export interface BurstReport {
  offers: number;
  accepted: number;
  refused: Record<string, number>;
  /** Jobs with more than one verdict. */
  doubled: number;
  secondsToPublish: number;
  secondsToLastVerdict: number;
  offersPerSecond: number;
  rigMegabytes: { before: number; peak: number };
  courierMegabytes: { before: number; peak: number };
}

async function residentMegabytes(pid: number, field = 'VmRSS'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
}

export async function burst(
  stack: Stack,
  count: number,
  say: (line: string) => void = () => undefined,
): Promise<BurstReport> {
  const { parties } = stack;
  const sealed = await storedSource({ after: () => undefined }, stack, VOICE);
  say(`signing ${count} offers, each with a grant of its own`);
  const tokens: string[] = [];
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const id = randomUUID();
    ids.push(id);
    const now = nowSeconds();
    const job = await jobFor(stack, sealed, id);
    tokens.push(
      await parties.dispatcher.sign('job', {
        iss: parties.dispatcher.name,
        aud: parties.rig,
        jti: id,
        iat: now,
        exp: now + 3600,
        job,
      }),
    );
  }
  const tls = join(stack.dir, 'dispatcher/tls');
  const [ca, cert, key] = await Promise.all(['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(tls, name))));
  const client = await connectAsync(stack.init.urls.broker, {
    protocolVersion: 5,
    clientId: parties.dispatcher.name,
    username: parties.dispatcher.name,
    clean: true,
    ca,
    cert,
    key,
  } as never);
  const verdicts = new Map<string, string[]>();
  const waiting = new Set(ids);
  let pending: Promise<void>[] = [];
  client.on('message', (_topic, message) => {
    pending.push(
      verifyEnvelope(message, ['event'], {
        trust: parties.trust,
        now: nowSeconds(),
        aud: parties.dispatcher.name,
      }).then(({ payload }) => note(payload)),
    );
  });
  const seen = new Set<string>();
  function note(event: EventPayload): void {
    if (seen.has(event.jti) || !['accepted', 'refused'].includes(event.type)) return;
    seen.add(event.jti);
    verdicts.set(event.job, [...(verdicts.get(event.job) ?? []), event.problem?.code ?? 'accepted']);
    waiting.delete(event.job);
  }
  await client.subscribeAsync(topics(parties.rig).event(parties.dispatcher.name), { qos: 1 });
  const before = { rig: await residentMegabytes(stack.rig!.pid), courier: await residentMegabytes(stack.courier!.pid) };
  say('publishing');
  const began = performance.now();
  await Promise.all(tokens.map((token) => client.publishAsync(topics(parties.rig).offer, token, { qos: 1 })));
  const published = performance.now();
  let said = 0;
  await until(
    async () => {
      const batch = pending;
      pending = [];
      await Promise.all(batch);
      if (performance.now() - said > 2000) {
        said = performance.now();
        say(`${count - waiting.size} of ${count} verdicts`);
      }
      return waiting.size === 0;
    },
    600_000,
    'a verdict for every offer',
  );
  const over = performance.now();
  await client.endAsync(true);
  const refused: Record<string, number> = {};
  for (const [verdict] of verdicts.values())
    if (verdict !== 'accepted') refused[verdict!] = (refused[verdict!] ?? 0) + 1;
  return {
    offers: count,
    accepted: [...verdicts.values()].filter(([verdict]) => verdict === 'accepted').length,
    refused,
    doubled: [...verdicts.values()].filter((list) => list.length > 1).length,
    secondsToPublish: Math.round((published - began) / 10) / 100,
    secondsToLastVerdict: Math.round((over - began) / 10) / 100,
    offersPerSecond: Math.round((count / (over - began)) * 1000),
    rigMegabytes: { before: before.rig, peak: await residentMegabytes(stack.rig!.pid, 'VmHWM') },
    courierMegabytes: { before: before.courier, peak: await residentMegabytes(stack.courier!.pid, 'VmHWM') },
  };
}
