/** `outboard profiles`: the models that the rig knows, whether a profile is in order, and a first profile out of OpenMIDI data. */
import { basename } from 'node:path';
import { Command } from 'commander';
import { stringify } from 'yaml';
import {
  GUESSED_GAIN_DB,
  importOpenMidi,
  loadProfiles,
  type Profile,
  parseProfile,
} from '../../drivers/processors/index.js';
import { readText } from './files.js';
import { createOutput } from './output.js';

interface JsonOption {
  json?: boolean;
}

export function profilesCommand(): Command {
  return new Command('profiles')
    .description(
      'Profiles: what each model of processor understands. They are data; docs/profiles.md teaches to write one.',
    )
    .addCommand(listCommand())
    .addCommand(checkCommand())
    .addCommand(importCommand());
}

function listCommand(): Command {
  return new Command('list')
    .description('Lists the models that the rig knows, how they are connected and how sure their profiles are.')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
VERIFIED is how many parameters can be read back. EVIDENCE says where a profile comes from: documented (the maker's manual),
inferred (a relative or a habit), unproven (nobody has tried it). The id goes into rig.yaml:  eq-1: {profile: ID, …}

Examples:
  outboard profiles list
  outboard profiles list --json | jq -r '.profiles[] | select(.verified == 0) | .id'`,
    )
    .action(async (o: JsonOption) => {
      const output = createOutput(o);
      const profiles = [...(await loadProfiles()).values()].map(summary);
      output.object({ ok: true, profiles });
      output.table(
        profiles.map(({ id, version, transport, params, verified, evidence, device }) => [
          id,
          version,
          transport,
          `${verified}/${params}`,
          evidence ?? '-',
          `${device.make} ${device.model}`,
        ]),
        ['ID', 'VERSION', 'WIRE', 'VERIFIED', 'EVIDENCE', 'DEVICE'],
      );
    });
}

function summary({ id, version, hash, document, params, transport, vars }: Profile) {
  return {
    id,
    version,
    hash,
    device: document.device,
    transport: transport.kind,
    params: params.size,
    verified: [...params.values()].filter(({ verifyBy }) => verifyBy === 'readback' || verifyBy === 'dump').length,
    evidence: document.evidence?.mark ?? null,
    vars: Object.fromEntries(vars),
  };
}

function checkCommand(): Command {
  return new Command('check')
    .description(
      'Checks a profile: schema, templates, tapers, overlaps, safe state, vectors. Opens no port, needs no daemon.',
    )
    .argument('<file>', 'a profile in YAML')
    .option('--json', 'JSON on stdout')
    .addHelpText(
      'after',
      `
The first thing that is wrong is named with its place in the file; exit status 78. What is in order but doubtful is a remark.

Examples:
  outboard profiles check my-eq.yaml
  outboard profiles check my-eq.yaml --json | jq .remarks`,
    )
    .action(async (file: string, o: JsonOption) => {
      const output = createOutput(o);
      const profile = parseProfile(await readText(file), basename(file));
      const remarks = remarksOn(profile, basename(file));
      output.object({ ok: true, ...summary(profile), vectors: profile.document.vectors.length, remarks });
      output.line(
        `${profile.id} ${profile.version} is in order: ${profile.params.size} parameters, ${profile.document.vectors.length} vectors`,
      );
      output.line(profile.hash);
      for (const remark of remarks) output.line(`remark: ${remark}`);
    });
}

/** What is no fault and still nothing to rely on. */
function remarksOn(profile: Profile, file: string): string[] {
  const { document, params, identityStrength } = profile;
  const proved = new Set(document.vectors.flatMap(({ set }) => Object.keys(set).map((key) => key.split('@')[0])));
  const names = (wanted: (name: string) => boolean): string => [...params.keys()].filter(wanted).join(', ');
  const unproved = names((name) => !proved.has(name));
  const blind = names((name) => ['none', 'ack'].includes(params.get(name)?.verifyBy ?? ''));
  const loud = names((name) => params.get(name)?.gain !== undefined && params.get(name)?.hazard === undefined);
  return [
    ...(file === `${profile.id}.yaml` ? [] : [`the folder of profiles wants the name ${profile.id}.yaml`]),
    ...(unproved === '' ? [] : [`no vector proves ${unproved}`]),
    ...(blind === '' ? [] : [`"sent, unverified", because nothing reads them back: ${blind}`]),
    ...(loud === '' ? [] : [`gain, but no hazard: ${loud}`]),
    ...(identityStrength === 'none' ? ['any unit would be taken for this one: a person has to look'] : []),
    ...(document.evidence === undefined && profile.transport.kind !== 'virtual'
      ? ['it does not say how sure it is (evidence)']
      : []),
  ];
}

function importCommand(): Command {
  return new Command('import')
    .description('Makes a first profile out of a CSV file of the OpenMIDI project and prints it. You bring the file.')
    .argument('<csv>', 'a device file of github.com/pencilresearch/midi')
    .option('--json', 'JSON on stdout: the profile and the rows that are not in it')
    .addHelpText(
      'after',
      `
The data are licensed CC BY-SA 4.0 by their contributors: what you make of them is under that licence too, and none of them are part
of outboard. They know controllers and ranges, nothing of identity, read-back, timing and danger. What sounds loud by its name gets a
safe value and counts as ${GUESSED_GAIN_DB} dB of gain until you know better. Prove every line against the manual and the unit.

Examples:
  outboard profiles import "Chase Bliss/Preamp MKII.csv" > chase-bliss.preamp-mkii.yaml
  outboard profiles check chase-bliss.preamp-mkii.yaml`,
    )
    .action(async (file: string, o: JsonOption) => {
      const output = createOutput(o);
      const { document, skipped } = importOpenMidi(await readText(file), basename(file));
      const text = `# From OpenMIDI data (github.com/pencilresearch/midi), CC BY-SA 4.0: this file is under the same licence.\n${stringify(document, { lineWidth: 130 })}`;
      // What is printed is in order, or it is not printed.
      const profile = parseProfile(text, basename(file));
      output.object({ ok: true, id: profile.id, profile: document, skipped });
      output.line(text.trimEnd());
      for (const row of skipped) output.note(`left out: ${row}`);
    });
}
