/** `npm run docs`: writes docs/protocol from core/contract. With `--check` it only says what is stale, and exits 1 then. */
import { fileURLToPath } from 'node:url';
import { protocolDocuments } from './protocol/documents.js';
import { staleFiles, writeFiles } from './protocol/folder.js';

const folder = fileURLToPath(new URL('../../docs/protocol/', import.meta.url));
const check = process.argv.includes('--check');
const changed = check ? staleFiles(folder, protocolDocuments()) : writeFiles(folder, protocolDocuments());

for (const name of changed) console.log(`${check ? 'stale' : 'written'}: docs/protocol/${name}`);
if (check && changed.length > 0) {
  console.error('The documents differ from the contract. Run `npm run docs` and commit the result.');
  process.exitCode = 1;
}
