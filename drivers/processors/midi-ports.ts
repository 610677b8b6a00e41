/**
 * Names of MIDI ports. ALSA numbers clients as they come, so that a name as the library tells it, `Client:Port 24:0`, is another one after
 * the unit was plugged in again; a configuration names a port without its numbers.
 */
import { OutboardError } from '../../core/errors.js';

export interface PortList {
  getPortCount(): number;
  getPortName(index: number): string;
}

export interface FoundPort {
  index: number;
  /** With its numbers: another one when the port was away. */
  fullName: string;
}

/** All names, numbers included, in the library's order. */
export function portNames(list: PortList): string[] {
  return Array.from({ length: list.getPortCount() }, (_, index) => list.getPortName(index));
}

/** The names by which a configuration may mean this port: the port's, the client's, or both with a colon between. */
function namesOf(fullName: string): string[] {
  const both = fullName.replace(/ \d+:\d+$/, '');
  // A client's name may hold a colon: then any of them could be the one between.
  const names = [both];
  for (let at = both.indexOf(':'); at >= 0; at = both.indexOf(':', at + 1))
    names.push(both.slice(0, at), both.slice(at + 1));
  return names.map((name) => name.trim());
}

/**
 * The one port that is meant by `name`.
 *
 * @param what of which kind, for the message
 * @throws OutboardError processor.port when there is none, or more than one: two units of one name cannot be told apart
 */
export function findPort(names: readonly string[], name: string, what: 'input' | 'output'): FoundPort {
  const matches = names.flatMap((fullName, index) =>
    namesOf(fullName).includes(name.trim()) ? [{ index, fullName }] : [],
  );
  const [found, second] = matches;
  const details = { port: name, [what]: names };
  if (found === undefined) {
    const there = names.length === 0 ? 'there is none at all' : `there is ${names.join(', ')}`;
    throw new OutboardError('processor.port', `no MIDI ${what} is called "${name}"; ${there}`, { details });
  }
  if (second === undefined) return found;
  const exact = matches.filter(({ fullName }) => namesOf(fullName)[0] === name.trim());
  if (exact.length === 1 && exact[0] !== undefined) return exact[0];
  const all = matches.map(({ fullName }) => fullName).join(', ');
  throw new OutboardError('processor.port', `"${name}" could be any of these MIDI ${what}s: ${all}`, { details });
}
