/** How a fault in a profile is said: with the place in the file where it is. */
import { OutboardError } from '../../core/errors.js';

export function invalidProfile(path: string, message: string, cause?: unknown): OutboardError {
  return new OutboardError('profile.invalid', `${path}: ${message}`, { details: { path }, cause });
}
