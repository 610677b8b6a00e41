/** Reads a YAML configuration: an error names the file, the line and the path of the value. Paths inside are relative to the file. */
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { OutboardError } from '../core/errors.js';

export interface LoadedConfig<T> {
  config: T;
  file: string;
  /** A path of the configuration as an absolute one. */
  resolve(path: string): string;
}

/** @throws OutboardError config.unreadable (no file, no YAML) | config.invalid (a value), both with file and line. */
export async function loadConfig<S extends z.ZodType>(file: string, schema: S): Promise<LoadedConfig<z.output<S>>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OutboardError('config.unreadable', `${file}: cannot be read (${reason})`, { cause, details: { file } });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const fault = document.errors[0];
  if (fault) {
    const line = lines.linePos(fault.pos[0]).line;
    throw new OutboardError('config.unreadable', `${file}:${line}: ${fault.message}`, { details: { file, line } });
  }
  const parsed = schema.safeParse(document.toJS());
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const path = issue.path.map(String);
    const line = lineOf(document.contents, path, lines);
    const where = path.length > 0 ? path.join('.') : '(top level)';
    throw new OutboardError('config.invalid', `${file}:${line}: ${where}: ${issue.message}`, {
      details: { file, line, path: where },
    });
  }
  const base = dirname(file);
  return { config: parsed.data, file, resolve: (path) => (isAbsolute(path) ? path : join(base, path)) };
}

/** The line of the deepest node on the path that exists. */
function lineOf(root: Node | null, path: string[], lines: LineCounter): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => String((item.key as { value?: unknown })?.value ?? item.key) === key);
      if (!pair) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return lines.linePos(offset).line;
}
