/**
 * A folder that appears whole or not at all: it is built beside its place under a temporary name, synced, and renamed. Whatever stands
 * at its place already is left alone.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { OutboardError } from '../../core/errors.js';

export const PRIVATE_FILE = 0o600;
export const PUBLIC_FILE = 0o644;
const PRIVATE_FOLDER = 0o700;

export interface NewTree {
  /** Where it is being built; other writers may put files there too. */
  readonly root: string;
  /** Creates a folder and those above it, mode 0700. */
  folder(path: string): Promise<void>;
  /** Creates a file and its folder. It never overwrites. */
  file(path: string, content: string | Uint8Array, mode: number): Promise<void>;
}

/**
 * Runs `build` and puts what it made at `target`, mode 0700.
 *
 * @throws OutboardError config.exists (something is there, other than an empty folder) | file.write
 */
export async function createTree<T>(target: string, build: (tree: NewTree) => Promise<T>): Promise<T> {
  const place = resolve(target);
  await refuseExisting(place);
  const root = join(dirname(place), `.${basename(place)}.${randomBytes(6).toString('hex')}.new`);
  try {
    await mkdir(dirname(place), { recursive: true });
    await mkdir(root, { mode: PRIVATE_FOLDER });
  } catch (cause) {
    throw writeError(place, cause);
  }
  try {
    const result = await build(newTree(root));
    await syncTree(root);
    await moveInto(root, place);
    return result;
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw error;
  }
}

function newTree(root: string): NewTree {
  const folder = async (path: string) =>
    void (await mkdir(join(root, path), { recursive: true, mode: PRIVATE_FOLDER }));
  return {
    root,
    folder,
    file: async (path, content, mode) => {
      await folder(dirname(path));
      // Synced with all the others before the rename.
      const handle = await open(join(root, path), 'wx', mode);
      try {
        await handle.writeFile(content);
      } finally {
        await handle.close();
      }
    },
  };
}

async function refuseExisting(place: string): Promise<void> {
  let names: string[];
  try {
    if (!(await stat(place)).isDirectory()) throw exists(place);
    names = await readdir(place);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error instanceof OutboardError ? error : writeError(place, error);
  }
  if (names.length > 0) throw exists(place);
  // Renaming over it would leave this shell in a folder that is gone.
  if (place === process.cwd())
    throw new OutboardError('config.exists', `${place} is the folder you are in: name a new one inside or beside it`);
}

async function moveInto(root: string, place: string): Promise<void> {
  try {
    await rename(root, place);
    await syncFolder(dirname(place));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    // Somebody was faster than we.
    throw code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR' ? exists(place) : writeError(place, cause);
  }
}

function exists(place: string): OutboardError {
  return new OutboardError('config.exists', `${place} exists already`, { details: { path: place } });
}

function writeError(place: string, cause: unknown): OutboardError {
  const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new OutboardError('file.write', `${place}: cannot be written (${reason})`, {
    cause,
    details: { path: place },
  });
}

async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) await syncTree(inner);
    else await syncFolder(inner);
  }
  await syncFolder(path);
}

/** fsync of a file or a folder by its path. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
