/** What the rest of the house uses of the processors. */
export { GUESSED_GAIN_DB, type Imported, importOpenMidi } from './openmidi.js';
export type { PathModifier } from './path-modifier.js';
export type { LocalChange, ProcessorUnit, UnitState } from './processor-unit.js';
export { loadProfiles, type Profile, parseProfile } from './profile.js';
export { checkSettings, maxGainDb, readable, withDefaults } from './settings.js';
export type { Link, LinkListener, Transport } from './transport.js';
export { createUnit, type UnitLogger, type UnitOptions } from './unit.js';
export { type AnswerFault, createVirtualTransport, type VirtualTransport } from './virtual-unit.js';
