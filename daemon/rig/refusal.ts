/** Refusals as they are told: in an event or an answer, to somebody who knows who he is and must see which part of his offer is meant. */
import type { Problem } from '../../core/contract/index.js';
import { OutboardError } from '../../core/errors.js';

/** What the sender hears: everything but who he is. */
export function withoutSender(error: OutboardError): Problem {
  const { authenticated: _, ...details } = error.details;
  const { code, message, advice } = error;
  return Object.keys(details).length > 0 ? { code, message, advice, details } : { code, message, advice };
}

/** The refusal of the grant inside a job: the job itself may be without fault. */
export function ofGrant(error: OutboardError): OutboardError {
  const { path, ...details } = withoutSender(error).details ?? {};
  return new OutboardError(error.code, `the grant: ${error.message}`, {
    cause: error.cause,
    details: { ...details, path: path === undefined ? 'grant' : `grant.${path}` },
  });
}

/** A limit of this rig that is reached at the moment. */
export function busy(message: string, value: number, allowed: number): OutboardError {
  return new OutboardError('rig.busy', message, { details: { value, allowed } });
}
