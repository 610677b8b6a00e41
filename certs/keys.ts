/** Keys in one place: how they are made, where they rest, who signs with them. */
export * from './jwk.js';
export { openRootKey, sealRootKey } from './root-key.js';
export { loadSigner, type Signer } from './signer.js';
