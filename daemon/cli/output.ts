/**
 * What the commands print. Results go to stdout: text for people, or JSON objects, one a line, with --json. Progress and remarks go to
 * stderr, so that a pipe gets the result only: bars on a terminal, plain lines elsewhere, nothing with --json.
 */
import { Presets, SingleBar } from 'cli-progress';
import type { OutboardError } from '../../core/errors.js';

export interface Streams {
  stdout: NodeJS.WritableStream & { isTTY?: boolean };
  stderr: NodeJS.WritableStream & { isTTY?: boolean };
}

/** What a progress is counted in: it decides how numbers are written. */
export type ProgressUnit = 'bytes' | 'frames' | 'percent';

export interface Progress {
  /** `done` of `total`, counted since the beginning, in the progress's unit. */
  update(done: number): void;
  /** Ends it: the bar stays where it is, or a last line is written. May be called twice. */
  end(): void;
}

export interface Output {
  readonly json: boolean;
  /** True when people can see a bar move. */
  readonly interactive: boolean;
  /** A line of the result for people; nothing with --json. */
  line(text?: string): void;
  /** A table of the result for people, columns aligned; nothing with --json. */
  table(rows: readonly (readonly string[])[], headings?: readonly string[]): void;
  /** A JSON object on its own line with --json; nothing without. */
  object(value: object): void;
  /** A remark for people, to stderr; nothing with --json. */
  note(text: string): void;
  /** @param total in `unit`; 100 for percent */
  progress(label: string, total: number, unit: ProgressUnit): Progress;
}

const PLAIN_STEP_PERCENT = 10;

export function createOutput(
  options: { json?: boolean | undefined },
  streams: Streams = { stdout: process.stdout, stderr: process.stderr },
): Output {
  const json = options.json === true;
  const interactive = !json && streams.stderr.isTTY === true;
  const toStdout = (text: string) => void streams.stdout.write(`${text}\n`);
  const toStderr = (text: string) => void streams.stderr.write(`${text}\n`);
  return {
    json,
    interactive,
    line: (text = '') => {
      if (!json) toStdout(text);
    },
    table: (rows, headings) => {
      if (!json) for (const row of formatTable(rows, headings)) toStdout(row);
    },
    object: (value) => {
      if (json) toStdout(JSON.stringify(value));
    },
    note: (text) => {
      if (!json) toStderr(text);
    },
    progress: (label, total, unit) => {
      if (json) return { update() {}, end() {} };
      return interactive
        ? barProgress(streams.stderr, label, total, unit)
        : plainProgress(toStderr, label, total, unit);
    },
  };
}

/** Two lines for people on stderr, or one JSON object on stdout; it never shows a stack. */
export function printError(
  error: OutboardError,
  options: { json: boolean },
  streams: Streams = { stdout: process.stdout, stderr: process.stderr },
): void {
  if (options.json) {
    streams.stdout.write(`${JSON.stringify({ ok: false, error: error.toJSON() })}\n`);
    return;
  }
  // One line: a message that quotes a file may hold more.
  const message = error.message.replace(/\s*\n\s*/g, ' ');
  streams.stderr.write(`error ${error.code}: ${message}\n  ${error.advice}\n`);
}

/** Rows as lines, each column as wide as its widest cell; the headings are underlined by nothing, so that `awk` and eyes both work. */
export function formatTable(rows: readonly (readonly string[])[], headings?: readonly string[]): string[] {
  const all = headings ? [headings, ...rows] : [...rows];
  const widths: number[] = [];
  for (const row of all) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
}

/** `1536` -> `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}

/** NumericDate -> `2026-03-01 12:00 UTC`. */
export function formatTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Seconds as the two largest units: `13 days 23 h`, `4 min 10 s`. */
export function formatSpan(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const days = Math.floor(s / 86_400);
  const hours = Math.floor((s % 86_400) / 3600);
  const minutes = Math.floor((s % 3600) / 60);
  if (days > 0) return hours > 0 ? `${days} days ${hours} h` : `${days} days`;
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes > 0) return s % 60 > 0 ? `${minutes} min ${s % 60} s` : `${minutes} min`;
  return `${s} s`;
}

function formatCount(value: number, unit: ProgressUnit): string {
  if (unit === 'bytes') return formatBytes(value);
  return unit === 'percent' ? `${Math.round(value)} %` : `${Math.round(value)} frames`;
}

function barProgress(stream: Streams['stderr'], label: string, total: number, unit: ProgressUnit): Progress {
  const counts = unit === 'percent' ? '' : ' | {done} of {all}';
  const bar = new SingleBar(
    {
      stream,
      format: `${label} {bar} {percentage} %${counts}`,
      hideCursor: true,
      barsize: 30,
      fps: 10,
      // Without this the bar stops at the last throttled value instead of the real one.
      forceRedraw: true,
    },
    Presets.shades_classic,
  );
  const payload = (done: number) => ({ done: formatCount(done, unit), all: formatCount(total, unit) });
  bar.start(Math.max(1, total), 0, payload(0));
  let ended = false;
  return {
    update: (done) => {
      if (!ended) bar.update(Math.min(done, total), payload(done));
    },
    end: () => {
      if (!ended) bar.stop();
      ended = true;
    },
  };
}

function plainProgress(write: (text: string) => void, label: string, total: number, unit: ProgressUnit): Progress {
  let nextPercent = PLAIN_STEP_PERCENT;
  let ended = false;
  const counts = (done: number) =>
    unit === 'percent' ? '' : ` (${formatCount(done, unit)} of ${formatCount(total, unit)})`;
  return {
    update: (done) => {
      const percent = total > 0 ? Math.floor((done / total) * 100) : 100;
      if (ended || percent < nextPercent) return;
      nextPercent = percent - (percent % PLAIN_STEP_PERCENT) + PLAIN_STEP_PERCENT;
      write(`${label}: ${Math.min(100, percent)} %${counts(done)}`);
    },
    end: () => {
      ended = true;
    },
  };
}
