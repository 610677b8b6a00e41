/** The hands at the gear of a rig that runs as test/peers/faulty-rig.ts. */
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { GearOrder } from './faulty-rig.js';
import { type Stack, until } from './stack.js';

export const FAULTY_RIG = join(import.meta.dirname, 'faulty-rig.js');

/** Carries out one order; resolves with the answer. @throws what the rig said of it */
export async function gear<T = unknown>(stack: Stack, order: GearOrder): Promise<T> {
  const socket = connect(join(dirname(stack.controlSocket), 'gear.sock'));
  try {
    socket.write(`${JSON.stringify(order)}\n`);
    for await (const line of createInterface({ input: socket })) {
      const { answer, error } = JSON.parse(line) as { answer?: T; error?: string };
      if (error !== undefined) throw new Error(error);
      return answer as T;
    }
    throw new Error('the rig hung up');
  } finally {
    socket.destroy();
  }
}

/** Starts the rig and waits for its gear. */
export async function startFaultyRig(stack: Stack): Promise<void> {
  await stack.startRig({ main: FAULTY_RIG });
  const answers = () =>
    gear(stack, { do: 'silentFor', send: 1 }).then(
      () => true,
      () => false,
    );
  await until(answers, 30_000, `gear.sock: ${stack.logs()}`);
}
