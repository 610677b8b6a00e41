/** Compares the generated documents with a folder, and writes them. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Files of the folder that are missing, differ, or are no longer generated. Only schemas/ and the two YAML files are looked at. */
export function staleFiles(folder: string, wanted: ReadonlyMap<string, string>): string[] {
  const stale: string[] = [];
  for (const [name, content] of wanted) if (read(join(folder, name)) !== content) stale.push(name);
  for (const name of leftOver(folder, wanted)) stale.push(name);
  return stale.sort();
}

/** Makes the folder what it has to be. @returns the files that changed */
export function writeFiles(folder: string, wanted: ReadonlyMap<string, string>): string[] {
  const changed = staleFiles(folder, wanted);
  for (const name of changed) {
    const content = wanted.get(name);
    if (content === undefined) {
      rmSync(join(folder, name));
      continue;
    }
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return changed;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function leftOver(folder: string, wanted: ReadonlyMap<string, string>): string[] {
  let names: string[];
  try {
    names = readdirSync(join(folder, 'schemas'));
  } catch {
    return [];
  }
  return names.map((name) => `schemas/${name}`).filter((name) => !wanted.has(name));
}
