/** YAML as it is committed: the same bytes for the same document, no anchors, no folded lines. */
import { stringify } from 'yaml';

export function toYaml(document: object): string {
  const note = '# Generated from core/contract by `npm run docs`. Edit the schemas, not this file.\n';
  return note + stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
}
