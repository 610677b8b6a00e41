/** A rig whose inserts have known paths, and a technician's terminal at it. */
import { CalibrationRun, RunAnswer, RunsAnswer, type SessionPayload } from '../../core/contract/index.js';
import type { RigConfigOverrides } from '../../daemon/cli/rig-yaml.js';
import { LocalClient } from '../../daemon/local-client.js';
import { type Running, start } from '../daemon/cli/run-cli.js';
import { CLI_MAIN, Stack, until } from './stack.js';
import { insertsOf } from './takes.js';
import { type ControlConnection, maintenance, sessionToken, technicianOf } from './technician.js';

export const MEASURED_RATE = 48_000;

export class MeasuredRig {
  readonly stack: Stack;

  private constructor(stack: Stack) {
    this.stack = stack;
  }

  /** @param specs as those of `insertsOf`; each insert has a processor `on-NAME` */
  static async start(
    t: { after(fn: () => unknown): void },
    specs: Parameters<typeof insertsOf>[0],
    more: RigConfigOverrides = {},
    startRig = (stack: Stack) => stack.startRig(),
  ): Promise<MeasuredRig> {
    const { inserts, channels } = insertsOf(specs);
    const stack = await Stack.make(t, {
      rigConfig: {
        ...more,
        interface: { rates: [MEASURED_RATE], in: channels, out: channels, ...more.interface },
        inserts,
        processors: Object.fromEntries(
          Object.keys(inserts).map((insert) => [
            `on-${insert}`,
            { profile: 'virtual.gain', insert, port: { virtual: true as const } },
          ]),
        ),
      },
    });
    await startRig(stack);
    return new MeasuredRig(stack);
  }

  async mode(): Promise<string> {
    return (await this.stack.status()).state.mode;
  }

  async enter(seconds = 600): Promise<void> {
    await maintenance(this.stack, 'maintenance.enter', seconds);
    await until(async () => (await this.mode()) === 'maintenance');
  }

  async exit(): Promise<void> {
    await maintenance(this.stack, 'maintenance.exit');
  }

  /** `outboard calibrate …` as a technician types it. @param input what he types while it runs; null for one who does not type yet */
  calibrate(words: readonly string[], input: string | null = ''): Running {
    return start(process.execPath, [CLI_MAIN, 'calibrate', ...words, ...this.signature], { input });
  }

  /** The document of a run that the command has printed. */
  async document(words: readonly string[], input?: string): Promise<CalibrationRun> {
    const { stdout, stderr } = await this.calibrate([...words, '--json'], input).ended;
    const { document, error } = JSON.parse(stdout.split('\n')[0]!);
    if (document === undefined) throw new Error(`no document: ${JSON.stringify(error)} ${stderr}`);
    return CalibrationRun.parse(document);
  }

  get signature(): string[] {
    const { dir, init } = this.stack;
    return ['--config', init.files.rig, '--key', `${dir}/technician/key.jwk`, '--reason', 'a test'];
  }

  /** A signed request on a connection of the test's own. */
  async ask(connection: ControlConnection, session: Partial<SessionPayload['session']>) {
    const token = await sessionToken(this.stack, await technicianOf(this.stack), await connection.nonce(), { session });
    return await connection.send(token);
  }

  /** The newest run that the history has of an insert; null before the first. */
  async newest(insert: string): Promise<CalibrationRun | null> {
    const client = new LocalClient({ socketPath: this.stack.controlSocket });
    try {
      const { runs } = await client.get('/calibration/runs', RunsAnswer, { query: { insert } });
      if (runs.length === 0) return null;
      return (await client.get(`/calibration/runs/${runs[0]!.run}`, RunAnswer)).document;
    } finally {
      client.close();
    }
  }
}

/** The one value of a name, on a channel, under conditions. */
export function reading(
  run: CalibrationRun,
  name: string,
  channel: number,
  conditions: Record<string, unknown> = {},
): number {
  const found = run.measurements.filter(
    (m) =>
      m.name === name &&
      m.channel === channel &&
      Object.entries(conditions).every(([key, value]) => m.conditions[key] === value),
  );
  if (found.length === 0) throw new Error(`${name} of channel ${channel} was not measured`);
  if (!found[0]!.valid) throw new Error(`${name}: ${JSON.stringify(found[0]!.refusal)}`);
  return found[0]!.value!;
}
