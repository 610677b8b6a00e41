/**
 * Reversible line templates: one string such as `In{in:02} Aud{w:+03}` compiles to a formatter and to a strict parser of a whole line,
 * so that commands, acknowledgements and replies are described once.
 *
 * A field is `{name}` or `{name:[+][0width][.places]}`: `+` forces a sign, `0width` pads with zeros to exactly that many characters
 * (sign and point included) and `.places` fixes the decimals. `{{` and `}}` are literal braces. The grammar is kept so narrow that
 * format and parse are inverse to each other by construction; what could be read in two ways is refused when the profile is loaded.
 */
import { type Decimal, decimalOf, fixedMagnitude } from './decimal.js';
import { invalidProfile } from './invalid.js';

export interface Field {
  readonly name: string;
  readonly plus: boolean;
  /** Exact number of characters, or null for as many as it takes. */
  readonly width: number | null;
  readonly places: number;
}

type Part = string | Field;
export type FieldValues = ReadonlyMap<string, Decimal>;

export interface Template {
  readonly text: string;
  readonly fields: readonly Field[];
  /** The line for these values, or undefined where a value has more digits than its field can show. */
  format(values: FieldValues): string | undefined;
  /** The values of a whole line, or undefined for any line that `format` would not have made. */
  parse(line: string): Map<string, Decimal> | undefined;
}

const FIELD = /^([a-z]+)(?::(\+?)(?:0(\d{1,2}))?(?:\.(\d))?)?$/;
/** More digits than any unit has; keeps a hostile line from becoming a huge number. */
const MAX_DIGITS = 15;

/**
 * @param constants fields whose values are known already; they become part of the text
 * @throws OutboardError profile.invalid for an unknown or repeated field, and for a template that cannot be reversed
 */
export function compileTemplate(
  text: string,
  allowed: readonly string[],
  path: string,
  constants: ReadonlyMap<string, number> = new Map(),
): Template {
  const parts = split(text, allowed, path, constants);
  const fields = parts.filter((part): part is Field => typeof part !== 'string');
  refuseAmbiguity(parts, path);
  const pattern = new RegExp(`^${parts.map(patternOf).join('')}$`, 's');

  function format(values: FieldValues): string | undefined {
    let line = '';
    for (const part of parts) {
      if (typeof part === 'string') line += part;
      else {
        const value = values.get(part.name);
        const shown = value === undefined ? undefined : formatField(part, value);
        if (shown === undefined) return undefined;
        line += shown;
      }
    }
    return line;
  }

  return {
    text,
    fields,
    format,
    parse(line) {
      const match = pattern.exec(line);
      if (match === null) return undefined;
      const values = new Map(fields.map((field, i) => [field.name, parseField(match[i + 1] as string)]));
      // The pattern takes a little more than the formatter makes (-0, a sign of zero): only what comes back identical counts.
      return format(values) === line ? values : undefined;
    },
  };
}

function split(text: string, allowed: readonly string[], path: string, constants: ReadonlyMap<string, number>): Part[] {
  const parts: Part[] = [];
  let literal = '';
  const seen = new Set<string>();
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    if (text.charCodeAt(i) > 0xff) throw invalidProfile(path, `"${c}" is not a latin1 character`);
    if (c !== '{' && c !== '}') literal += c;
    else if (text[i + 1] === c) {
      literal += c;
      i++;
    } else {
      const end = text.indexOf('}', i);
      const spec = c === '{' && end > 0 ? FIELD.exec(text.slice(i + 1, end)) : null;
      if (spec === null) throw invalidProfile(path, `"${text.slice(i)}" is not a field like {w}, {w:+03} or {w:+06.2}`);
      const field = fieldOf(spec, path);
      const constant = constants.get(field.name);
      if (constant !== undefined) {
        const shown = formatField(field, decimalOf(constant));
        if (shown === undefined) throw invalidProfile(path, `{${spec[0]}} has no room for ${constant}`);
        literal += shown;
        i = end;
        continue;
      }
      if (!allowed.includes(field.name))
        throw invalidProfile(path, `{${field.name}} is not known here; use ${allowed.map((n) => `{${n}}`).join(', ')}`);
      if (seen.has(field.name)) throw invalidProfile(path, `{${field.name}} stands twice`);
      seen.add(field.name);
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(field);
      i = end;
    }
  }
  if (literal !== '') parts.push(literal);
  if (parts.length === 0) throw invalidProfile(path, 'a template cannot be empty');
  return parts;
}

function fieldOf([, name = '', plus = '', width, places]: RegExpExecArray, path: string): Field {
  const field: Field = {
    name,
    plus: plus === '+',
    width: width === undefined ? null : Number(width),
    places: places === undefined ? 0 : Number(places),
  };
  if (field.width !== null && wholeDigits(field, field.plus) < 1)
    throw invalidProfile(path, `{${name}} is too narrow for its sign, point and decimals`);
  return field;
}

/** A number of open length must not run into something that begins like a number. */
function refuseAmbiguity(parts: readonly Part[], path: string): void {
  parts.forEach((part, i) => {
    const next = parts[i + 1];
    if (typeof part === 'string' || part.width !== null || next === undefined) return;
    const runsOn = typeof next === 'string' ? /^\d/.test(next) : !next.plus;
    // With fixed decimals the end is known: exactly that many digits follow the point.
    if (runsOn && part.places === 0)
      throw invalidProfile(
        path,
        `where {${part.name}} ends cannot be told; give it a width or put a separator after it`,
      );
  });
}

function wholeDigits(field: Field, signed: boolean): number {
  return (field.width ?? 0) - (signed ? 1 : 0) - (field.places > 0 ? field.places + 1 : 0);
}

function patternOf(part: Part): string {
  if (typeof part === 'string') return part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  const decimals = part.places > 0 ? `\\.\\d{${part.places}}` : '';
  if (part.width === null) return `(${part.plus ? '[+-]' : '-?'}\\d{1,${MAX_DIGITS}}${decimals})`;
  const withSign = wholeDigits(part, true);
  const signed = withSign < 1 ? [] : [`${part.plus ? '[+-]' : '-'}\\d{${withSign}}${decimals}`];
  const plain = part.plus ? [] : [`\\d{${wholeDigits(part, false)}}${decimals}`];
  return `(${[...plain, ...signed].join('|')})`;
}

function formatField(field: Field, value: Decimal): string | undefined {
  const magnitude = fixedMagnitude(value, field.places);
  if (magnitude === undefined) return undefined;
  const sign = value.digits < 0n ? '-' : field.plus ? '+' : '';
  if (field.width === null) return magnitude.length > MAX_DIGITS ? undefined : sign + magnitude;
  const padded = sign + magnitude.padStart(field.width - sign.length, '0');
  return padded.length === field.width ? padded : undefined;
}

function parseField(text: string): Decimal {
  const [whole = '', fraction = ''] = text.replace(/^[+-]/, '').split('.');
  const magnitude = BigInt(whole + fraction);
  return { digits: text.startsWith('-') ? -magnitude : magnitude, places: fraction.length };
}
