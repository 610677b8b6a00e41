/** How the interface is held, with the virtual one behind the port: what goes wrong is told at once, and everything comes back by itself. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { VirtualInterfaceConfig } from '../../../core/contract/index.js';
import { type ErrorCode, OutboardError } from '../../../core/errors.js';
import { createLogger } from '../../../daemon/log.js';
import { InterfaceKeeper } from '../../../daemon/rig/interface-keeper.js';
import type { AudioInterface, Claim, ClaimProof, StreamRequest } from '../../../drivers/audio/port.js';
import { createVirtualInterface, VIRTUAL_DEVICE, type VirtualInterface } from '../../../drivers/audio/virtual.js';
import { VirtualAnalog } from '../../../drivers/audio/virtual-analog.js';

const CONFIG = VirtualInterfaceConfig.parse({
  driver: 'virtual',
  clock: 'realtime',
  rates: [48_000, 44_100, 96_000],
  in: 4,
  out: 4,
});
const DEVICE = { playback: VIRTUAL_DEVICE, capture: VIRTUAL_DEVICE };
/** The shortest that counts as an alert in time. */
const ALERT_MS = 1000;

type News = { kind: 'down' | 'back' | 'refused'; error?: OutboardError; codes?: readonly ErrorCode[]; at: number };

function virtual(): VirtualInterface {
  return createVirtualInterface(CONFIG, new VirtualAnalog({}));
}

/** A keeper and all that it tells. */
function bench(t: TestContext, audio: AudioInterface, config = CONFIG) {
  const news: News[] = [];
  const tell = (kind: News['kind'], error?: OutboardError) =>
    void news.push({ kind, at: performance.now(), ...(error ? { error } : {}) });
  const keeper = new InterfaceKeeper({
    config,
    audio,
    device: DEVICE,
    log: createLogger('test', 'silent'),
    onDown: (error) => tell('down', error),
    onBack: (_, codes) => void news.push({ kind: 'back', codes, at: performance.now() }),
    onRefused: (error) => tell('refused', error),
  });
  t.after(() => keeper.stop());
  const kinds = () => news.map(({ kind, error }) => (error ? `${kind} ${error.code}` : kind));
  const until = async (holds: () => boolean) => {
    const end = performance.now() + 20_000;
    while (!holds()) {
      if (performance.now() > end) assert.fail(`it did not come: ${holds}; so far ${kinds()}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const check = (name: string) => keeper.checks().find((entry) => entry.name === name);
  return { keeper, news, kinds, until, check };
}

/** The same interface with calls that a test changes. */
function around(
  audio: AudioInterface,
  change: {
    claim?: (claim: () => Promise<Claim>) => Promise<Claim>;
    start?: (request: StreamRequest, start: () => ReturnType<Claim['start']>) => ReturnType<Claim['start']>;
    verify?: (verify: () => Promise<ClaimProof>) => Promise<ClaimProof>;
  },
): AudioInterface {
  return {
    list: () => audio.list(),
    claim: async (device) => {
      const claim = await (change.claim ?? ((real) => real()))(() => audio.claim(device));
      return new Proxy(claim, {
        get(target, name) {
          if (name === 'start' && change.start)
            return (request: StreamRequest) => change.start!(request, () => target.start(request));
          if (name === 'verifyClaim' && change.verify) return () => change.verify!(() => target.verifyClaim());
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}

const busy = (audio: AudioInterface) => assert.rejects(audio.claim(DEVICE), { code: 'audio.busy' });
const free = async (audio: AudioInterface) => (await audio.claim(DEVICE)).close();

describe('the keeper of the interface', { timeout: 120_000 }, () => {
  it('holds the device and has a stream run before any job, and gives it back in the end', async (t) => {
    const audio = virtual();
    const { keeper, kinds, check } = bench(t, audio);
    await keeper.start();
    assert.equal(keeper.ready, true);
    assert.equal(keeper.rate, 48_000);
    await busy(audio);
    assert.deepEqual(
      keeper.checks().map(({ name, status }) => `${name} ${status}`),
      ['claim ok', 'claim.model ok', 'format ok', 'rates ok', 'latency ok', 'faults ok'],
    );
    assert.equal(check('latency')!.value, 64);
    await keeper.stop();
    await keeper.stop();
    await free(audio);
    assert.deepEqual(kinds(), []);
  });

  it('is released for outside tools until it is started again, and says who holds it then', async (t) => {
    const audio = virtual();
    const { keeper, kinds, news, until, check } = bench(t, audio);
    await keeper.start();
    const engine = await keeper.engineAt(48_000);
    const told = await keeper.release('a look with another program');
    assert.equal(told.code, 'interface.released');
    assert.equal(engine.state, 'stopped');
    assert.equal(keeper.ready, false);
    assert.match(check('claim')!.detail, /released for outside tools: a look with another program/);
    await assert.rejects(keeper.engineAt(48_000), { code: 'interface.released' });
    const tool = await audio.claim(DEVICE);
    await keeper.start();
    assert.deepEqual(kinds(), ['down audio.busy']);
    assert.equal(keeper.ready, false);
    await tool.close();
    await until(() => keeper.ready);
    assert.deepEqual(news.at(-1)?.codes, ['interface.released', 'audio.busy']);
    await busy(audio);
    await keeper.release('once more');
    await keeper.start();
    assert.equal(keeper.ready, true);
    assert.deepEqual(news.at(-1)?.codes, ['interface.released']);
  });

  for (const [kind, code] of [
    ['lost', 'audio.gone'],
    ['claim-lost', 'audio.busy'],
  ] as const)
    it(`${kind}: told before the injection returns, with the device's name; it comes back by itself`, async (t) => {
      const audio = virtual();
      const { keeper, news, kinds, until, check } = bench(t, audio);
      await keeper.start();
      audio.inject({ kind });
      assert.deepEqual(kinds(), [`down ${code}`]);
      assert.match(news[0]!.error!.message, /the rig waits for hw:CARD=Virtual,DEV=0: /);
      assert.equal(keeper.ready, false);
      await assert.rejects(keeper.engineAt(48_000), { code });
      await until(() => check('claim')?.status === 'failed');
      assert.match(check('claim')!.detail, /^waits for hw:CARD=Virtual,DEV=0: /);
      audio.restore();
      await until(() => keeper.ready);
      assert.deepEqual(kinds().at(-1), 'back');
      assert.equal((await keeper.engineAt(48_000)).state, 'running');
      assert.equal(keeper.faults.counts[kind], 1);
      assert.match(check('faults')!.detail, new RegExp(`^1 ${kind} since the start; the last one \\d+ s ago: ${kind}`));
    });

  it('finds within a second that the claim no longer holds, where the driver says nothing', async (t) => {
    let stolen = false;
    const stolenProof: ClaimProof = {
      exclusive: false,
      device: VIRTUAL_DEVICE,
      detail: 'not alone',
      checks: [{ name: 'owner', holds: false, detail: 'process 4711 owns it' }],
    };
    const audio = around(virtual(), { verify: (verify) => (stolen ? Promise.resolve(stolenProof) : verify()) });
    const { keeper, news, until } = bench(t, audio);
    await keeper.start();
    stolen = true;
    const at = performance.now();
    await until(() => news.length > 0);
    t.diagnostic(`${Math.round(news[0]!.at - at)} ms`);
    assert.ok(news[0]!.at - at < ALERT_MS);
    assert.equal(news[0]!.error!.code, 'audio.busy');
    assert.match(news[0]!.error!.message, /process 4711 owns it/);
    stolen = false;
    await until(() => keeper.ready);
  });

  it('begins a stream again that a fault has ended, while nothing asks for it, and counts', async (t) => {
    const audio = virtual();
    const { keeper, kinds, until, check } = bench(t, audio);
    await keeper.start();
    const engine = await keeper.engineAt(44_100);
    for (const [index, kind] of (['xrun-in', 'stalled'] as const).entries()) {
      audio.inject({ kind });
      // The engine looks at an idle stream a few times a second.
      await until(() => keeper.faults.total === index + 1);
      await until(() => engine.state === 'running');
      assert.equal(engine.rate, 44_100, 'at the rate it had');
    }
    assert.deepEqual(kinds(), []);
    assert.equal(keeper.ready, true);
    assert.equal(check('faults')!.value, 2);
  });

  for (const { kind, code, claimed } of [
    // Whoever runs late keeps what is his; a device that stands still is opened anew.
    { kind: 'xrun-out', code: 'audio.late', claimed: 1 },
    { kind: 'stalled', code: 'audio.gone', claimed: 2 },
  ] as const)
    it(`says so when streams end again and again with ${kind}, and believes only one that lasts`, async (t) => {
      let claims = 0;
      const real = virtual();
      const audio = around(real, {
        claim: (claim) => {
          claims++;
          return claim();
        },
      });
      const { keeper, news, kinds, until, check } = bench(t, audio);
      await keeper.start();
      for (let fault = 1; fault <= 3; fault++) {
        await until(() => check('format')!.status === 'ok');
        real.inject({ kind });
        await until(() => keeper.faults.total === fault);
      }
      await until(() => kinds().length > 0);
      assert.deepEqual(kinds(), [`down ${code}`]);
      assert.match(news[0]!.error!.message, new RegExp(`ended 3 times in a row, the last time with ${kind}`));
      if (claimed === 1) await busy(real);
      await until(() => kinds().length > 1);
      assert.equal(kinds()[1], 'back');
      assert.equal(claims, claimed);
      assert.ok(news[1]!.at - news[0]!.at >= 2000, 'it ran for a while first');
    });

  it('waits for a device that somebody else has, and says who waits for what', async (t) => {
    const audio = virtual();
    const other = await audio.claim(DEVICE);
    const { keeper, news, kinds, until } = bench(t, audio);
    await keeper.start();
    assert.equal(keeper.ready, false);
    assert.deepEqual(kinds(), ['down audio.busy']);
    assert.match(news[0]!.error!.message, /the rig waits for hw:CARD=Virtual,DEV=0: /);
    await other.close();
    await until(() => keeper.ready);
    assert.deepEqual(kinds(), ['down audio.busy', 'back']);
  });

  it('two keepers: the second one waits until the first one stops', async (t) => {
    const audio = virtual();
    const first = bench(t, audio);
    const second = bench(t, audio);
    await first.keeper.start();
    await second.keeper.start();
    assert.deepEqual([first.keeper.ready, second.keeper.ready], [true, false]);
    assert.deepEqual(second.kinds(), ['down audio.busy']);
    await first.keeper.stop();
    await second.until(() => second.keeper.ready);
  });

  for (const code of ['audio.gone', 'audio.denied', 'audio.driver', 'audio.device'] as const)
    it(`${code} when it is claimed: told once, tried on`, async (t) => {
      let tries = 0;
      const audio = around(virtual(), {
        claim: async (claim) => {
          if (++tries < 4) throw new OutboardError(code, 'as the test wants it');
          return await claim();
        },
      });
      const { keeper, kinds, until } = bench(t, audio);
      await keeper.start();
      assert.deepEqual(kinds(), [`down ${code}`]);
      await until(() => keeper.ready);
      assert.deepEqual(kinds(), [`down ${code}`, 'back']);
      assert.equal(tries, 4);
    });

  it('tells a new reason when the reason changes', async (t) => {
    const reasons: ErrorCode[] = ['audio.gone', 'audio.gone', 'audio.busy'];
    const audio = around(virtual(), {
      claim: async (claim) => {
        const code = reasons.shift();
        if (code) throw new OutboardError(code, 'as the test wants it');
        return await claim();
      },
    });
    const { keeper, news, kinds, until } = bench(t, audio);
    await keeper.start();
    await until(() => keeper.ready);
    assert.deepEqual(kinds(), ['down audio.gone', 'down audio.busy', 'back']);
    assert.deepEqual(news.at(-1)!.codes, ['audio.gone', 'audio.busy'], 'what is over');
  });

  it('a device that dies while its stream begins is claimed anew', async (t) => {
    let dying = true;
    const real = virtual();
    const audio = around(real, {
      start: async (_, start) => {
        if (!dying) return await start();
        dying = false;
        real.inject({ kind: 'lost' });
        throw new OutboardError('audio.gone', 'it died');
      },
    });
    const { keeper, kinds, until } = bench(t, audio);
    await keeper.start();
    assert.deepEqual(kinds(), ['down audio.gone']);
    real.restore();
    await until(() => keeper.ready);
  });

  for (const code of ['audio.format', 'audio.latency', 'audio.sync'] as const)
    it(`${code}: the device stays held while the stream is tried again, and the rate is named`, async (t) => {
      let wrong = true;
      const real = virtual();
      const audio = around(real, {
        start: async (_, start) => {
          if (wrong) throw new OutboardError(code, 'as the test wants it');
          return await start();
        },
      });
      const { keeper, news, kinds, until, check } = bench(t, audio);
      await keeper.start();
      assert.deepEqual(kinds(), [`down ${code}`]);
      assert.match(news[0]!.error!.message, /at 48000 Hz: as the test wants it/);
      assert.equal(keeper.ready, false);
      await busy(real);
      assert.equal(check('claim')!.status, 'ok');
      assert.equal(check('format')!.status, 'failed');
      await assert.rejects(keeper.engineAt(48_000), { code });
      wrong = false;
      await until(() => keeper.ready);
      assert.deepEqual(kinds(), [`down ${code}`, 'back']);
    });

  it('a rate of the configuration that the device does not run is told once; the others go on', async (t) => {
    const audio = around(virtual(), {
      start: async (request, start) => {
        if (request.rate === 96_000) throw new OutboardError('audio.format', 'no 96 kHz');
        return await start();
      },
    });
    const { keeper, news, kinds, until, check } = bench(t, audio);
    await keeper.start();
    for (let time = 0; time < 2; time++) {
      await assert.rejects(keeper.engineAt(96_000), { code: 'audio.format' });
      await until(() => keeper.rate === 48_000);
    }
    assert.deepEqual(kinds(), ['refused audio.format']);
    assert.match(news[0]!.error!.message, /at 96000 Hz: no 96 kHz/);
    assert.equal(keeper.ready, true);
    assert.match(check('rates')!.detail, /96000 Hz was refused/);
    assert.equal(check('rates')!.status, 'degraded');
    assert.equal((await keeper.engineAt(44_100)).rate, 44_100);
  });

  it('does not change the rate under a take', async (t) => {
    const { keeper } = bench(t, virtual());
    await keeper.start();
    const engine = await keeper.engineAt(48_000);
    const silence = engine.flush({ sends: [1], returns: [1], seconds: 0.2, listenSeconds: 0.05 });
    await assert.rejects(keeper.engineAt(44_100), { code: 'audio.busy' });
    await silence;
    assert.equal((await keeper.engineAt(44_100)).rate, 44_100);
  });

  it('stops in the middle of waiting', async (t) => {
    const audio = virtual();
    const other = await audio.claim(DEVICE);
    const { keeper, kinds } = bench(t, audio);
    await keeper.start();
    await keeper.stop();
    await other.close();
    await free(audio);
    assert.deepEqual(kinds(), ['down audio.busy']);
  });
});
