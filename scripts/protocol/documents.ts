/** The files of docs/protocol that are generated from the contract, by name, as they have to stand in the tree. */
import { asyncApi } from './asyncapi.js';
import { openApi } from './openapi.js';
import { DOCUMENTS, standaloneSchema } from './schemas.js';
import { toYaml } from './yaml.js';

/** Path inside docs/protocol to content. The same contract gives the same bytes. */
export function protocolDocuments(): Map<string, string> {
  const files = new Map<string, string>();
  files.set('asyncapi.yaml', toYaml(asyncApi()));
  files.set('openapi.yaml', toYaml(openApi()));
  for (const name of DOCUMENTS)
    files.set(`schemas/${name}.json`, `${JSON.stringify(standaloneSchema(name), null, 2)}\n`);
  return files;
}
