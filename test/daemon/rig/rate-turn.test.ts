/** Which rate has its turn: few changes of the stream, no job that waits for ever, and tenants' turns within a rate. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Contender, RateTurn } from '../../../daemon/rig/rate-turn.js';

interface Job extends Contender {
  name: string;
}

const PATIENCE_MS = 60_000;
const job = (name: string, rate: number, blockedSince: number | null = null): Job => ({ name, rate, blockedSince });
const names = (jobs: Job[]) => jobs.map(({ name }) => name).join('');
const self = (one: Job) => one;

describe('the turn of the rates', () => {
  it('puts the jobs of the rate that runs first, each group in the order in which it came', () => {
    const turn = new RateTurn(PATIENCE_MS);
    const jobs = [job('a', 44_100), job('b', 48_000), job('c', 96_000), job('d', 44_100), job('e', 48_000)];
    assert.equal(names(turn.order(jobs, self, 48_000, 0)), 'beadc');
    assert.equal(names(turn.order(jobs, self, 192_000, 0)), 'adbec', 'a rate that nobody wants');
    assert.equal(names(turn.order(jobs, self, null, 0)), 'adbec', 'no stream');
    assert.deepEqual(turn.order([], self, 48_000, 0), []);
  });

  it('lets a job go first that has waited too long, but not before the present turn was as long', () => {
    const turn = new RateTurn(PATIENCE_MS);
    const jobs = (waiting: number | null) => [job('a', 48_000), job('b', 44_100, waiting)];
    const order = (now: number, waiting: number | null) => names(turn.order(jobs(waiting), self, 48_000, now));
    assert.equal(order(100_000, 0), 'ab', 'the turn began only now');
    assert.equal(order(160_000, 0), 'ab');
    assert.equal(order(160_001, 0), 'ba');
    assert.equal(order(170_000, 120_000), 'ab', 'it has not waited long');
    assert.equal(order(500_000, null), 'ab', 'its own unit is away: that is not waiting');
    assert.equal(names(turn.order(jobs(0), self, 44_100, 500_000)), 'ba');
    assert.equal(names(turn.order(jobs(0), self, 48_000, 500_001)), 'ab', 'a new turn');
  });

  it('of several rates that wait too long, the one that has waited longest', () => {
    const turn = new RateTurn(PATIENCE_MS);
    turn.order([], self, 48_000, 0);
    const jobs = [job('a', 48_000), job('b', 44_100, 20_000), job('c', 96_000, 10_000)];
    assert.equal(names(turn.order(jobs, self, 48_000, 100_000)), 'cab');
  });

  it('with endless queues of every rate: each job begins in bounded time, and the rate changes seldom', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(44_100, 48_000, 96_000), { minLength: 3, maxLength: 200 }),
        fc.integer({ min: 1000, max: 50_000 }),
        (rates, takeMs) => {
          const turn = new RateTurn(PATIENCE_MS);
          // One insert: one take after the other.
          const waiting = rates.map((rate, index) => job(String(index), rate, 0));
          let running = 48_000;
          let changedAt = 0;
          for (let now = 0; waiting.length > 0; now += takeMs) {
            const [next] = turn.order(waiting, self, running, now);
            waiting.splice(waiting.indexOf(next!), 1);
            const left = (rate: number) => waiting.some((one) => one.rate === rate);
            if (next!.rate === running) {
              const others = waiting.length > 0 && waiting.some(({ rate }) => rate !== running);
              // A turn is seen to begin when the next take is looked for.
              if (others) assert.ok(now - changedAt <= PATIENCE_MS + takeMs, 'another rate was kept waiting');
              continue;
            }
            if (left(running)) assert.ok(now - changedAt > PATIENCE_MS, 'changed although there was more to do');
            running = next!.rate;
            changedAt = now;
          }
        },
      ),
    );
  });
});
