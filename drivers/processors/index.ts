/** What the rest of the house uses of the processors. */
export { checkSettings, maxGainDb, readable, withDefaults } from './settings.js';
export { loadProfiles, parseProfile, type Profile } from './profile.js';
export { createUnit, type UnitLogger, type UnitOptions } from './unit.js';
export type { LocalChange, ProcessorUnit, UnitState } from './processor-unit.js';
export type { Link, LinkListener, LineTransport } from './transport.js';
export { type AnswerFault, createVirtualTransport, type VirtualTransport } from './virtual-unit.js';
export type { PathModifier } from './path-modifier.js';
