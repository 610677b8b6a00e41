/** The demo's broker, asked by mosquitto's own clients with certificates that openssl made. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DemoBroker } from '../../../daemon/cli/demo-broker.js';
import { mosquittoAcl } from '../../../daemon/cli/mosquitto-conf.js';
import { type Identity, OpensslCa, pem } from '../../peers/openssl-ca.js';

const STATE = 'outboard/v1/rig-01/state';
const OFFER = 'outboard/v1/rig-01/offer';

describe('demo broker', () => {
  let scratch: string;
  let broker: DemoBroker;
  let courier: Identity;
  let dispatcher: Identity;
  let stranger: Identity;
  let refused: string[];

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'outboard-broker-'));
    const ca = new OpensslCa(scratch);
    courier = ca.client('rig-01');
    dispatcher = ca.client('dispatcher.demo');
    stranger = ca.client('stranger');
    const acl = mosquittoAcl({ rigs: ['rig-01'], dispatchers: ['dispatcher.demo'], keepers: [], monitors: [] });
    broker = new DemoBroker({ tls: pem(ca.server()), acl, onRefused: (what) => refused.push(what) });
    refused = [];
    await broker.start();
    await broker.start();
  });

  after(async () => {
    await broker.stop();
    await broker.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  function client(command: string, who: Partial<Identity>, id: string, ...args: string[]) {
    const tls = ['--cafile', who.ca!, ...(who.cert ? ['--cert', who.cert, '--key', who.key!] : [])];
    const base = ['-h', 'localhost', '-p', String(broker.port), '--tls-version', 'tlsv1.3', '-i', id, ...tls];
    return spawn(command, [...base, ...args], { stdio: 'pipe' });
  }

  /** Publishes and gives the exit status of mosquitto_pub. */
  async function publish(who: Partial<Identity>, id: string, topic: string, message: string, ...args: string[]) {
    const child = client('mosquitto_pub', who, id, '-V', 'mqttv311', '-q', '1', '-t', topic, '-m', message, ...args);
    const [code] = await once(child, 'close');
    return code as number;
  }

  const firstLine = async (child: ChildProcessWithoutNullStreams): Promise<string> =>
    String((await once(child.stdout, 'data'))[0]).trim();

  test('a retained state reaches the dispatcher', async () => {
    assert.equal(await publish(courier, 'rig-01', STATE, 'hello', '-r'), 0);
    const reader = client('mosquitto_sub', dispatcher, 'dispatcher.demo', '-V', 'mqttv311', '-t', STATE, '-C', '1');
    assert.equal(await firstLine(reader), 'hello');
    await once(reader, 'close');
  });

  test('an offer waits for a courier that was away', async () => {
    const session = ['-V', 'mqttv311', '-c', '-q', '1', '-t', OFFER];
    const [subscribed] = await once(client('mosquitto_sub', courier, 'rig-01', ...session, '-E'), 'close');
    assert.equal(subscribed, 0);
    assert.equal(await publish(dispatcher, 'dispatcher.demo', OFFER, 'a-job'), 0);
    const reader = client('mosquitto_sub', courier, 'rig-01', ...session, '-C', '1');
    assert.equal(await firstLine(reader), 'a-job');
    await once(reader, 'close');
  });

  test("a forbidden publish and a forbidden subscription are refused, another's client id too", async () => {
    refused = [];
    assert.notEqual(await publish(dispatcher, 'dispatcher.demo', STATE, 'forged', '-r'), 0);
    assert.notEqual(await publish(stranger, 'rig-01', STATE, 'forged', '-r'), 0);
    assert.notEqual(await publish(dispatcher, 'rig-01', STATE, 'forged', '-r'), 0);
    const reader = client('mosquitto_sub', stranger, 'stranger', '-V', 'mqttv311', '-t', OFFER, '-C', '1');
    const [said] = await once(reader.stderr, 'data');
    assert.match(String(said), /denied/);
    await once(reader, 'close');
    assert.match(refused.join('\n'), /dispatcher\.demo publishes 6 bytes to outboard\/v1\/rig-01\/state/);
    assert.match(refused.join('\n'), /client id rig-01, certificate of stranger/);
    assert.match(refused.join('\n'), /stranger subscribes to outboard\/v1\/rig-01\/offer/);
    const state = client('mosquitto_sub', dispatcher, 'dispatcher.demo', '-V', 'mqttv311', '-t', STATE, '-C', '1');
    assert.equal(await firstLine(state), 'hello');
    await once(state, 'close');
  });

  test('nobody gets in without a certificate', async () => {
    assert.notEqual(await publish({ ca: courier.ca }, 'rig-01', STATE, 'forged'), 0);
  });

  test('MQTT 5 is refused, so that a client can fall back', async () => {
    const child = client('mosquitto_pub', courier, 'rig-01', '-V', 'mqttv5', '-t', STATE, '-m', 'x');
    const [code] = await once(child, 'close');
    assert.notEqual(code, 0);
  });
});
