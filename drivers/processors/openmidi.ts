/**
 * Profiles out of the CSV files of the OpenMIDI project (github.com/pencilresearch/midi, CC BY-SA 4.0). The user brings the file; none is part
 * of this package. The data know controllers and their ranges, and nothing of identity, read-back, timing or danger: what they do not say is
 * written so that it errs on the safe side, and marked as unproven.
 */
import { asOutboardError, OutboardError } from '../../core/errors.js';
import { NRPN_CONTROLLERS } from './codec-controller.js';
import { compileProfile } from './profile.js';

export interface Imported {
  /** The content of a profile file. */
  readonly document: Record<string, unknown>;
  /** Rows that are not in it, and why. */
  readonly skipped: readonly string[];
}

type Row = Record<string, string>;

const COLUMNS = ['manufacturer', 'device', 'parameter_name', 'cc_msb', 'nrpn_msb'];
const LOUD = /gain|drive|level|vol|output|fuzz|dist|boost|fader|amp/i;
/** What writes into the unit's memory, or resets it: a controller that no recall may touch. */
const DESTRUCTIVE = /reset|\bsave\b|\bstore\b|factory|preset|program|erase|\binit/i;
/** Of a control that can be loud by its name and whose law nobody published. */
export const GUESSED_GAIN_DB = 60;
/** The one label that says that nothing is added. */
const OFF = /^(off|bypass(ed)?|muted?)$/i;
/** Controllers from here on are channel mode messages (All Sound Off, Local Control …; MIDI 1.0), whatever a data set calls them. */
const CHANNEL_MODE = 120;

/** @throws OutboardError profile.import for a text that is no such file or holds no parameter that can be set */
export function importOpenMidi(text: string, source: string): Imported {
  const rows = rowsOf(text, source);
  const [first] = rows;
  const { manufacturer = '', device = '' } = first ?? {};
  const skipped: string[] = [];
  const params: Record<string, unknown> = {};
  const state: Record<string, string | number> = {};
  const vectors: unknown[] = [];
  const taken = new Map<string, string>();
  /** Controllers that NRPNs share among themselves and with nobody else, each with the first that has it. */
  const shared = new Map<string, string>();
  const documentOf = documentFor(manufacturer, device, source);
  for (const row of rows) {
    const label = [row['section'], row['parameter_name']].filter(Boolean).join(': ');
    const wire = wireOf(row);
    if (typeof wire === 'string') {
      skipped.push(`${label}: ${wire}`);
      continue;
    }
    if (DESTRUCTIVE.test(label)) {
      skipped.push(
        `${label}: by its name it writes to the unit's memory or resets it; write a profile by hand if it does not`,
      );
      continue;
    }
    const clash = [
      ...wire.claims.map((claim) => taken.get(claim) ?? shared.get(claim)),
      ...wire.shares.map((claim) => taken.get(claim)),
    ].find((other) => other !== undefined);
    if (clash !== undefined) {
      skipped.push(`${label}: the same controller as ${clash}, which is likely another mode of the unit`);
      continue;
    }
    const name = nameOf(label, params);
    const meanings = wire.bits <= 7 ? meaningsOf(row['usage'] ?? '', wire.min, wire.max) : undefined;
    const loud = LOUD.test(label);
    const [value, w] = meanings === undefined ? [wire.min, wire.min] : quietest(meanings);
    const vector = { set: { [name]: value }, tx: wire.message(w) };
    const param = {
      ...(meanings === undefined
        ? { kind: 'number', unit: 'raw', min: wire.min, max: wire.max, step: 1, taper: { t: 'linear' } }
        : { kind: 'enum', taper: { t: 'enum', map: meanings } }),
      wire: wire.wire,
      verify: { by: 'none' },
      ...(loud ? { gain: guessedGain(meanings), hazard: 'level' } : {}),
    };
    const safe = loud ? { [name]: value } : {};
    const fault = faultOf(documentOf({ params: { [name]: param }, state: safe, vectors: [vector] }));
    if (fault !== undefined) {
      skipped.push(`${label}: ${fault}`);
      continue;
    }
    params[name] = param;
    Object.assign(state, safe);
    vectors.push(vector);
    for (const claim of wire.claims) taken.set(claim, name);
    for (const claim of wire.shares) if (!shared.has(claim)) shared.set(claim, name);
  }
  if (vectors.length === 0) throw problem(source, 'holds no parameter with a controller or an NRPN');
  return { skipped, document: documentOf({ params, state, vectors }) };
}

interface Parts {
  params: Record<string, unknown>;
  state: Record<string, string | number>;
  vectors: readonly unknown[];
}

/** The file around what the rows say. */
function documentFor(manufacturer: string, device: string, source: string) {
  return ({ params, state, vectors }: Parts): Record<string, unknown> => ({
    schema: 'outboard.profile/1',
    id: idOf(`${manufacturer}.${device}`),
    version: '0.1.0',
    sources: [{ kind: 'dataset', ref: `OpenMIDI (pencilresearch/midi), ${source}, CC BY-SA 4.0` }],
    evidence: {
      mark: 'unproven',
      says: 'Made from a community data set: controllers and ranges only. Prove every line against the manual and the unit.',
    },
    device: { make: manufacturer, model: device, class: ['midi'] },
    transport: { kind: 'midi', link: 'din' },
    framing: { kind: 'midi' },
    pacing: { gapMs: 4, replyMs: 300, bytesPerSec: 3125, maxInFlight: 1, retries: 0 },
    vars: { ch: { type: 'int', min: 1, max: 16, default: 1 } },
    identity: { strength: 'none', operatorConfirm: true, steps: [] },
    params,
    order: ['*'],
    safe: { state, settleMs: 100, onLinkLoss: 'operator' },
    sim: { replyMs: [0, 0], identity: [], errors: {} },
    vectors,
  });
}

/** Why a profile of this one row would be refused: such a row is left out, and the others are not. */
function faultOf(document: Record<string, unknown>): string | undefined {
  try {
    compileProfile(document);
    return undefined;
  } catch (cause) {
    return asOutboardError(cause).message;
  }
}

/** Nobody published what a loud control adds; of a switch every label but one that says "off" counts as much. */
function guessedGain(meanings: Meanings | undefined): object {
  if (meanings === undefined) return { atMostDb: GUESSED_GAIN_DB };
  const db = Object.keys(meanings).map((label) => [label, OFF.test(label) ? 0 : GUESSED_GAIN_DB]);
  return { db: Object.fromEntries(db) };
}

interface WireOf {
  wire: Record<string, unknown>;
  /** What is its alone. */
  claims: string[];
  /** What it has with others of its kind. */
  shares: string[];
  bits: number;
  min: number;
  max: number;
  /** The bytes that set w on channel 1, in hex. */
  message(w: number): string;
}

/** What the row says of the wire, or why that is of no use. */
function wireOf(row: Row): WireOf | string {
  const [cc, lsb, msb, low] = ['cc_msb', 'cc_lsb', 'nrpn_msb', 'nrpn_lsb'].map((column) => numberOf(row[column]));
  const kind = cc !== undefined ? 'cc' : 'nrpn';
  if (cc === undefined && (msb === undefined || low === undefined)) return 'it has neither a controller nor an NRPN';
  if ([cc, lsb, msb, low].some((number) => number !== undefined && number > 127)) return 'a controller above 127';
  if ([cc, lsb].some((number) => number !== undefined && number >= CHANNEL_MODE))
    return 'controllers from 120 on are channel mode messages (All Sound Off, Local Control …)';
  const [least, most] = [numberOf(row[`${kind}_min_value`]) ?? 0, numberOf(row[`${kind}_max_value`]) ?? 127];
  if (least >= most || most > 16_383) return `its range is ${least} to ${most}`;
  const hex = (...bytes: number[]): string => bytes.map((b) => b.toString(16).toUpperCase().padStart(2, '0')).join(' ');
  if (cc !== undefined && lsb === undefined) {
    if (most > 127) return `its range is ${least} to ${most} and it has no second controller`;
    const message = (w: number): string => hex(0xb0, cc, w);
    return { wire: { enc: 'cc7', cc }, claims: [`cc ${cc}`], shares: [], bits: 7, min: least, max: most, message };
  }
  // 16256 is 127 in the upper seven of fourteen bits: the lower ones say nothing.
  const bits =
    most <= 127
      ? 7
      : (Array.from({ length: 7 }, (_, i) => i + 7).find((n) => most === (2 ** n - 1) * 2 ** (14 - n)) ?? 14);
  const unit = most <= 127 ? 1 : 2 ** (14 - bits);
  const [min, max] = [Math.ceil(least / unit), Math.floor(most / unit)];
  const pair = (w: number): [number, number] => [(w * 2 ** (14 - bits)) >> 7, (w * 2 ** (14 - bits)) & 0x7f];
  if (cc !== undefined && lsb !== undefined)
    return {
      wire: { enc: 'cc14', cc, lsb, bits, order: 'msb-lsb' },
      claims: [`cc ${cc}`, `cc ${lsb}`],
      shares: [],
      bits,
      min,
      max,
      message: (w) => hex(0xb0, cc, pair(w)[0], 0xb0, lsb, pair(w)[1]),
    };
  const [upper, lower] = [msb as number, low as number];
  return {
    wire: { enc: 'nrpn', msb: upper, lsb: lower, bits },
    claims: [`nrpn ${upper}:${lower}`],
    shares: NRPN_CONTROLLERS.map((controller) => `cc ${controller}`),
    bits,
    min,
    max,
    message: (w) =>
      hex(0xb0, 99, upper, 0xb0, 98, lower, 0xb0, 6, pair(w)[0], ...(bits > 7 ? [0xb0, 38, pair(w)[1]] : [])),
  };
}

type Meanings = Record<string, number | [number, number]>;

/** `0-63: Off; 64-127: On` names ranges that mean the same; with a tilde a range is continuous, and no set of names. */
function meaningsOf(usage: string, min: number, max: number): Meanings | undefined {
  const found = new Map<string, number | [number, number]>();
  let next = min;
  for (const part of usage.split(';').filter((text) => text.trim() !== '')) {
    const [, from, to, label] = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*:\s*(.+?)\s*$/.exec(part) ?? [];
    if (from === undefined || label === undefined) return undefined;
    const [a, b] = [Number(from), Number(to ?? from)];
    const name = label.slice(0, 60);
    if (a < next || b < a || b > max || found.has(name)) return undefined;
    found.set(name, a === b ? a : [a, b]);
    next = b + 1;
  }
  return found.size < 2 ? undefined : Object.fromEntries(found);
}

/** What says "off", or else the first. */
function quietest(meanings: Meanings): [string, number] {
  const all = Object.entries(meanings);
  const [label, numbers] = all.find(([name]) => OFF.test(name)) ?? (all[0] as [string, number | [number, number]]);
  return [label, typeof numbers === 'number' ? numbers : numbers[0]];
}

function nameOf(label: string, taken: Readonly<Record<string, unknown>>): string {
  const words = label
    .normalize('NFKD')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
  const camel = words.map((word, i) =>
    i === 0 ? word.toLowerCase() : word[0]?.toUpperCase() + word.slice(1).toLowerCase(),
  );
  const base =
    camel
      .join('')
      .replace(/^(?=[^A-Za-z])/, 'p')
      .slice(0, 28) || 'parameter';
  let name = base;
  for (let n = 2; Object.hasOwn(taken, name); n++) name = `${base}${n}`;
  return name;
}

function idOf(text: string): string {
  const id = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, '-')
    .replace(/^[^a-z0-9]+|-+$/g, '');
  return id.slice(0, 64) || 'imported';
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,5}$/.test(text.trim()) ? Number(text) : undefined;
}

function rowsOf(text: string, source: string): Row[] {
  const [head, ...lines] = csv(text.replace(/^\ufeff/, ''), source);
  const missing = COLUMNS.find((column) => !(head ?? []).includes(column));
  if (head === undefined || missing !== undefined) throw problem(source, `has no column "${missing ?? COLUMNS[0]}"`);
  return lines
    .filter((cells) => cells.some((cell) => cell !== ''))
    .map((cells) => Object.fromEntries(head.map((column, i) => [column, (cells[i] ?? '').trim()])));
}

/** RFC 4180: cells in quotes may hold commas, quotes (doubled) and ends of lines. */
function csv(text: string, source: string): string[][] {
  const rows: string[][] = [[]];
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r?\n|\r|$)/y;
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text);
    if (match === null) throw problem(source, `line ${rows.length}: a quote is not closed`);
    const [, value = '', end = ''] = match;
    rows.at(-1)?.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end !== ',' && cell.lastIndex < text.length) rows.push([]);
  }
  return rows;
}

function problem(source: string, message: string): OutboardError {
  return new OutboardError('profile.import', `${source}: ${message}`, { details: { source } });
}
