export { assess } from './assess.js';
export { DEFAULT_CLASSES, DEFAULT_LIMITS } from './defaults.js';
export { effectiveLimits, type LimitedInsert } from './effective.js';
export { isAbout, judge, outcome, unmeasured } from './judge.js';
