/**
 * `rig.yaml` as a whole: beyond the shape of each field (core/contract/config.ts), what the fields must be to one another. The daemon and
 * `outboard check` read it through this one function, so that what passes the check starts.
 */
import type { z } from 'zod';
import { RigConfig } from '../core/contract/config.js';
import { type LoadedConfig, loadConfig } from './config-file.js';

export type LoadedRigConfig = LoadedConfig<RigConfig>;

/** @throws OutboardError config.unreadable | config.invalid, with file, line and path of the first fault */
export function loadRigConfig(file: string): Promise<LoadedRigConfig> {
  return loadConfig(file, WholeRigConfig);
}

type Fault = (path: (string | number)[], message: string) => void;

/** RigConfig with the rules between its fields. */
export const WholeRigConfig = RigConfig.superRefine((config, context: z.RefinementCtx) => {
  const fault: Fault = (path, message) => void context.addIssue({ code: 'custom', path, message });
  checkInterface(config, fault);
  checkInserts(config, fault);
  checkProcessors(config, fault);
  checkCrosstalkNames(config, fault);
  if (config.production) checkProduction(config, fault);
});

/** Each rate once, a sync wire on channels of its own, and a way to know the loop latency, without which no take can be aligned. */
function checkInterface({ interface: audio, inserts }: RigConfig, fault: Fault): void {
  audio.rates.forEach((rate, index) => {
    if (audio.rates.indexOf(rate) !== index) fault(['interface', 'rates', index], `${rate} Hz is listed twice`);
  });
  const { sync } = audio;
  if (sync) {
    const ends = [
      { end: 'send', side: 'sends', limit: audio.out, direction: 'out' },
      { end: 'return', side: 'returns', limit: audio.in, direction: 'in' },
    ] as const;
    for (const { end, side, limit, direction } of ends) {
      const channel = sync[end];
      const path = ['interface', 'sync', end];
      if (channel > limit)
        fault(path, `channel ${channel} does not exist: the interface has ${limit} (interface.${direction})`);
      const holder = Object.entries(inserts).find(([, insert]) => insert[side].includes(channel));
      if (holder) fault(path, `channel ${channel} belongs to insert ${holder[0]}: the sync wire needs one of its own`);
    }
  }
  if (audio.driver === 'virtual') return;
  if (!sync && audio.loopLatencyFrames === undefined)
    fault(
      ['interface'],
      'how many frames the loop through the interface delays is not known: wire one free output to one free input and name them as sync: {send, return}, or measure it and write loopLatencyFrames',
    );
  for (const [name, insert] of Object.entries(inserts))
    if (insert.path)
      fault(
        ['inserts', name, 'path'],
        'is the simulated path of driver: virtual; behind a real interface the path is real',
      );
}

/** Channels exist and belong to one insert each; an insert returns as many channels as it is sent. */
function checkInserts(config: RigConfig, fault: Fault): void {
  const sides = [
    { side: 'sends', limit: config.interface.out, direction: 'out' },
    { side: 'returns', limit: config.interface.in, direction: 'in' },
  ] as const;
  for (const { side, limit, direction } of sides) {
    const holder = new Map<number, string>();
    for (const [name, insert] of Object.entries(config.inserts)) {
      insert[side].forEach((channel, index) => {
        const path = ['inserts', name, side, index];
        if (channel > limit)
          fault(path, `channel ${channel} does not exist: the interface has ${limit} (interface.${direction})`);
        const other = holder.get(channel);
        if (other === name) fault(path, `channel ${channel} is listed twice`);
        else if (other !== undefined) fault(path, `channel ${channel} already belongs to insert ${other}`);
        holder.set(channel, name);
      });
    }
  }
  for (const [name, insert] of Object.entries(config.inserts)) {
    if (insert.sends.length !== insert.returns.length)
      fault(
        ['inserts', name, 'returns'],
        `${insert.returns.length} returns for ${insert.sends.length} sends: an insert has as many of one as of the other`,
      );
  }
}

function checkProcessors(config: RigConfig, fault: Fault): void {
  const holder = new Map<string, string>();
  for (const [name, { insert }] of Object.entries(config.processors)) {
    if (insert === undefined) continue;
    const other = holder.get(insert);
    // Of two on one insert, the one that a job does not name would keep the settings of the job before.
    if (other !== undefined)
      fault(['processors', name, 'insert'], `the insert ${insert} already has the processor ${other}`);
    holder.set(insert, name);
  }
  for (const [name, processor] of Object.entries(config.processors)) {
    if (processor.insert !== undefined && !Object.hasOwn(config.inserts, processor.insert))
      fault(['processors', name, 'insert'], `there is no insert ${processor.insert}`);
  }
}

function checkCrosstalkNames(config: RigConfig, fault: Fault): void {
  const lists = [
    { path: ['isolation', 'crosstalk'], rows: config.isolation.crosstalk },
    { path: ['interface', 'crosstalk'], rows: config.interface.driver === 'virtual' ? config.interface.crosstalk : [] },
  ];
  for (const { path, rows } of lists) {
    rows.forEach((row, index) => {
      for (const end of ['from', 'to'] as const) {
        if (!Object.hasOwn(config.inserts, row[end])) fault([...path, index, end], `there is no insert ${row[end]}`);
      }
      if (row.from === row.to) fault([...path, index, 'to'], 'crosstalk is between two inserts');
    });
  }
}

/** What a demo may do and a rig with clients' music may not. */
function checkProduction(config: RigConfig, fault: Fault): void {
  if (config.clock.sync === 'unchecked') fault(['clock', 'sync'], 'production: true needs a checked clock (timesyncd)');
  if (config.trust.roots.threshold < 2)
    fault(['trust', 'roots', 'threshold'], 'production: true needs at least two signatures, so that no one person can');
  if (config.interface.driver === 'virtual')
    fault(['interface', 'driver'], 'production: true needs a real interface, this one is simulated');
  for (const [name, { port }] of Object.entries(config.processors))
    if (port.virtual) fault(['processors', name, 'port'], 'production: true needs a real unit, this one is simulated');
}
