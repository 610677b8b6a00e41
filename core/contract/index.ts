/** The contract: everything that crosses a boundary of outboard. A dispatcher needs this and `outboard/client`, nothing else. */
export * from './calibration.js';
export * from './calibration-history.js';
export * from './calibration-limits.js';
export * from './config.js';
export * from './control.js';
export * from './envelope.js';
export * from './event.js';
export * from './grant.js';
export * from './health.js';
export * from './job.js';
export * from './local-api.js';
export * from './primitives.js';
export * from './topics.js';
export * from './trust.js';
