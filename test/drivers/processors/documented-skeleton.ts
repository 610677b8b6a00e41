/** The profile that docs/profiles.md tells people to copy. */
import { readFile } from 'node:fs/promises';

export const SKELETON_PAGE = await readFile(new URL('../../../../docs/profiles.md', import.meta.url), 'utf8');
export const SKELETON = /```yaml\n([\s\S]*?)```/.exec(SKELETON_PAGE)?.[1] ?? '';
