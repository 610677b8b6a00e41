/** Which limits hold for one insert: its class, then what the file says of its processors, then what it says of the insert itself. */
import { canonicalBytes } from '../../core/canonical.js';
import type { EffectiveLimits, LimitsFile } from '../../core/contract/calibration-limits.js';
import { OutboardError } from '../../core/errors.js';
import { digestOf } from '../history/key.js';
import { DEFAULT_CLASSES, DEFAULT_LIMITS } from './defaults.js';

export interface LimitedInsert {
  readonly name: string;
  /** In the order of the signal; none on an insert that is the interface's own loop. */
  readonly processors: readonly { readonly name: string; readonly classes: readonly string[] }[];
}

type Changes = Pick<LimitsFile['classes'][string], 'limits' | 'drift'>;

/**
 * @param file null for the built-in limits
 * @throws OutboardError limits.class for a class that nobody defines
 */
export function effectiveLimits(insert: LimitedInsert, file: LimitsFile | null): EffectiveLimits {
  const { version, classes, processors, inserts } = file ?? DEFAULT_LIMITS;
  const units = insert.processors.map(({ name }) => own(processors, name));
  const last = own(inserts, insert.name);
  const name = last?.class ?? units.find((unit) => unit?.class)?.class ?? classOf(insert);
  const builtIn = own(DEFAULT_CLASSES, name);
  const written = own(classes, name);
  if (!builtIn && !written)
    throw new OutboardError('limits.class', `insert ${insert.name}: no class of limits has the name ${name}`, {
      details: { known: [...new Set([...Object.keys(DEFAULT_CLASSES), ...Object.keys(classes)])] },
    });
  const layers = [builtIn, written, ...units, last].filter((layer) => layer !== undefined);
  return {
    version,
    digest: digestOf(canonicalBytes(file ?? { ...DEFAULT_LIMITS, classes: DEFAULT_CLASSES })),
    class: name,
    limits: merged(layers, 'limits'),
    drift: merged(layers, 'drift'),
  };
}

function classOf({ processors }: LimitedInsert): string {
  if (processors.length === 0) return 'loopback';
  return processors.some(({ classes }) => classes.includes('tape')) ? 'tape' : 'line';
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function merged<K extends keyof Changes>(layers: readonly Changes[], part: K): EffectiveLimits[K] {
  const rules = new Map<string, object>();
  for (const layer of layers)
    for (const [rule, said] of Object.entries(layer[part]))
      if (said === 'off') rules.delete(rule);
      else rules.set(rule, { rule, ...said });
  return [...rules.values()] as EffectiveLimits[K];
}
