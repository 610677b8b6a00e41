/** Refuses a take that no stream can play. These are faults of the caller: a job was checked long before. */
import type { TakeSpec } from './spec.js';

/**
 * @param others takes that hold their channels
 * @throws RangeError
 */
export function checkTake(
  spec: TakeSpec,
  device: { inChannels: number; outChannels: number },
  others: readonly TakeSpec[],
): void {
  const { hops, channels, regionFrames, tailFrames, sourceStartFrame } = spec;
  need(hops.length > 0, 'a take needs at least one insert');
  count(channels, 1, 'channels');
  count(regionFrames, 1, 'regionFrames');
  count(tailFrames, 0, 'tailFrames');
  count(sourceStartFrame, 0, 'sourceStartFrame');
  const held = others.flatMap((other) => other.hops);
  for (const [index, { insert, sends, returns, latencyFrames, driveDb }] of hops.entries()) {
    need(sends.length === channels, `insert ${insert} has ${sends.length} sends, the take ${channels} channels`);
    // What is recorded may be more than what is played: a measurement listens to other inserts too.
    const feedsNext = index < hops.length - 1;
    need(!feedsNext || returns.length === channels, `insert ${insert} has ${returns.length} returns, not ${channels}`);
    need(returns.length > 0, `insert ${insert} has no return`);
    count(latencyFrames, 0, `latencyFrames of insert ${insert}`);
    need(Number.isFinite(driveDb), `driveDb of insert ${insert} is ${driveDb}`);
    for (const send of sends) channel(send, device.outChannels, `send of insert ${insert}`);
    for (const back of returns) channel(back, device.inChannels, `return of insert ${insert}`);
  }
  once(hops.flatMap((hop) => hop.sends).concat(held.flatMap((hop) => hop.sends)), 'send');
  once(hops.flatMap((hop) => hop.returns).concat(held.flatMap((hop) => hop.returns)), 'return');
}

function once(channels: number[], what: string): void {
  const twice = channels.find((channel, index) => channels.indexOf(channel) !== index);
  need(twice === undefined, `${what} channel ${twice} is in use`);
}

function channel(value: number, last: number, what: string): void {
  count(value, 1, what);
  need(value <= last, `${what}: the interface has no channel ${value}, it has ${last}`);
}

function count(value: number, least: number, what: string): void {
  need(Number.isSafeInteger(value) && value >= least, `${what} is ${value}`);
}

function need(holds: boolean, message: string): void {
  if (!holds) throw new RangeError(message);
}
