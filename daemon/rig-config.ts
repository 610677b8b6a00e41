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
  checkPorts(config, fault);
  checkPatchbays(config, fault);
  checkCrosstalkNames(config, fault);
  checkLeakageNames(config, fault);
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
  if (!sync && audio.driver === 'portaudio')
    fault(
      ['interface'],
      'PortAudio delays the loop through the interface by another number of frames each time: wire one free output to one free input and name them as sync: {send, return}, so that the rig measures it',
    );
  else if (!sync && audio.loopLatencyFrames === undefined)
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

/**
 * Channels exist and belong to one insert each, unless a patchbay stands between all that share them; an insert returns as many channels as it
 * is sent.
 */
function checkInserts(config: RigConfig, fault: Fault): void {
  const sides = [
    { side: 'sends', limit: config.interface.out, direction: 'out' },
    { side: 'returns', limit: config.interface.in, direction: 'in' },
  ] as const;
  for (const { side, limit, direction } of sides) {
    const holder = new Map<number, string>();
    for (const [name, insert] of Object.entries(config.inserts)) {
      const patched = insert.via !== undefined;
      insert[side].forEach((channel, index) => {
        const path = ['inserts', name, side, index];
        if (channel > limit)
          fault(path, `channel ${channel} does not exist: the interface has ${limit} (interface.${direction})`);
        const other = holder.get(channel);
        if (other === name) fault(path, `channel ${channel} is listed twice`);
        else if (other !== undefined && !(patched && config.inserts[other]?.via))
          fault(path, `channel ${channel} already belongs to insert ${other}, and not both are patched (via)`);
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

/** A serial line has one unit; several may share a MIDI port, where their channels or device numbers tell them apart. */
function checkPorts({ processors }: RigConfig, fault: Fault): void {
  const holder = new Map<string, string>();
  for (const [name, { port }] of Object.entries(processors)) {
    if (!('serial' in port)) continue;
    const other = holder.get(port.serial);
    if (other !== undefined) fault(['processors', name, 'port', 'serial'], `is the port of ${other} already`);
    holder.set(port.serial, name);
  }
}

/** A patchbay stands on no insert, and what leads through one names one; nothing is patched to one output twice. */
function checkPatchbays({ inserts, processors }: RigConfig, fault: Fault): void {
  for (const [name, { insert, patchbay }] of Object.entries(processors))
    if (patchbay && insert !== undefined)
      fault(['processors', name, 'insert'], 'a patchbay stands between the inserts, not on one');
  for (const [name, { via = {} }] of Object.entries(inserts))
    for (const [bay, crosspoints] of Object.entries(via)) {
      const path = ['inserts', name, 'via', bay];
      if (!Object.hasOwn(processors, bay)) fault(path, `there is no processor ${bay}`);
      else if (!processors[bay]?.patchbay) fault(path, `the processor ${bay} is no patchbay (patchbay: true)`);
      crosspoints.forEach(({ out }, index) => {
        if (crosspoints.findIndex((other) => other.out === out) !== index)
          fault([...path, index, 'out'], `output ${out} is patched twice: it has one input`);
      });
    }
}

/** What is said to be measured, or to leak, is a patchbay, and each once. */
function checkLeakageNames(config: RigConfig, fault: Fault): void {
  const lists = [
    { path: ['isolation', 'patchbays'], rows: config.isolation.patchbays ?? [] },
    { path: ['interface', 'leakage'], rows: (config.interface.driver === 'virtual' && config.interface.leakage) || [] },
  ];
  for (const { path, rows } of lists)
    rows.forEach(({ patchbay }, index) => {
      const known = Object.hasOwn(config.processors, patchbay) && config.processors[patchbay]!.patchbay;
      if (!known) fault([...path, index, 'patchbay'], `there is no patchbay ${patchbay}`);
      if (rows.findIndex((other) => other.patchbay === patchbay) !== index)
        fault([...path, index, 'patchbay'], `${patchbay} is listed twice`);
    });
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
    if ('virtual' in port)
      fault(['processors', name, 'port'], 'production: true needs a real unit, this one is simulated');
}
