/** Imports point one way. The linter holds it for each file; what it cannot see (chains of imports, workers by URL) is scanned here. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { factsOf, ROOT, readFacts, resolveImport, sourceFiles } from './source-tree.js';

const FORMS: readonly { name: string; write: (path: string, i: number) => string }[] = [
  { name: 'static import', write: (path, i) => `import { a${i} } from '${path}';` },
  { name: 'type import', write: (path, i) => `import type { T${i} } from '${path}';` },
  { name: 'dynamic import', write: (path, i) => `export const d${i} = import('${path}');` },
  { name: 're-export', write: (path, i) => `export { r${i} } from '${path}';` },
];

/** From which folder what may not be imported, and what may. */
const RULES: readonly { from: string; never: string[]; may: string[] }[] = [
  {
    from: 'core',
    never: [
      '../certs/x.js',
      '../drivers/x.js',
      '../calibration/x.js',
      '../client/x.js',
      '../daemon/x.js',
      '../test/x.js',
    ],
    may: ['./units.js'],
  },
  {
    from: 'certs',
    never: ['../drivers/audio/x.js', '../calibration/x.js', '../client/x.js', '../daemon/rig/x.js', '../test/x.js'],
    may: ['../core/errors.js', './x.js'],
  },
  {
    from: 'drivers/audio',
    never: ['../../certs/x.js', '../../calibration/x.js', '../../client/x.js', '../../daemon/x.js', '../../test/x.js'],
    may: ['../../core/errors.js', '../processors/x.js'],
  },
  {
    from: 'calibration/dsp',
    never: ['../../certs/x.js', '../../client/x.js', '../../daemon/rig/engine/x.js', '../../test/x.js'],
    may: ['../../core/errors.js', '../../drivers/audio/port.js'],
  },
  {
    from: 'client',
    never: [
      '../drivers/audio/x.js',
      '../calibration/dsp/x.js',
      '../daemon/x.js',
      '../daemon/courier/x.js',
      '../test/x.js',
    ],
    may: ['../core/errors.js', '../certs/x.js', 'mqtt'],
  },
  {
    from: 'daemon',
    never: ['./rig/x.js', './courier/x.js', './cli/x.js', '../client/x.js', '../test/x.js'],
    may: ['../core/errors.js', '../certs/x.js'],
  },
  {
    from: 'daemon/rig',
    never: [
      '../courier/x.js',
      '../cli/x.js',
      '../../client/x.js',
      '../../test/x.js',
      ...['mqtt', 'aedes', 'node:https', 'node:tls', 'node:dgram', 'node:http2'],
    ],
    may: ['../../core/errors.js', '../../certs/x.js', '../../calibration/x.js', '../../drivers/x.js', '../log.js'],
  },
  {
    from: 'daemon/courier',
    never: ['../rig/x.js', '../cli/x.js', '../../drivers/x.js', '../../calibration/x.js', '../../test/x.js'],
    may: ['../../core/errors.js', '../../client/x.js', '../log.js'],
  },
  {
    from: 'daemon/cli',
    never: ['../rig/x.js', '../courier/x.js', '../../test/x.js'],
    may: ['../../core/errors.js', '../../client/x.js', '../../certs/x.js', '../../drivers/x.js', '../log.js'],
  },
];

/** Plants files in a copy of the house that has the linter's configuration, and gives the lines of each that the linter refuses. */
function lintPlanted(files: ReadonlyMap<string, string>): Map<string, Set<number>> {
  const house = realpathSync(mkdtempSync(join(tmpdir(), 'outboard-house-')));
  try {
    for (const name of ['biome.json', '.gitignore']) copyFileSync(join(ROOT, name), join(house, name));
    for (const [name, text] of files) {
      mkdirSync(join(house, dirname(name)), { recursive: true });
      writeFileSync(join(house, name), text);
    }
    const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
    const args = [
      biome,
      'lint',
      '--only=style/noRestrictedImports',
      '--max-diagnostics=none',
      '--reporter=github',
      '.',
    ];
    const run = spawnSync(process.execPath, args, { cwd: house, encoding: 'utf8' });
    assert.equal(run.error, undefined);
    const found = [
      ...run.stdout.matchAll(/^::error title=lint\/style\/noRestrictedImports,file=([^,]+),line=(\d+),/gm),
    ];
    assert.equal(
      run.status !== 0,
      found.length > 0,
      `exit status and diagnostics disagree:\n${run.stdout}${run.stderr}`,
    );
    const refused = new Map<string, Set<number>>([...files.keys()].map((name) => [name, new Set<number>()]));
    for (const [, name, line] of found) refused.get(relative(house, resolve(house, name!)))!.add(Number(line));
    return refused;
  } finally {
    rmSync(house, { recursive: true, force: true });
  }
}

const inEveryForm = (paths: readonly string[]) => paths.flatMap((path) => FORMS.map((form) => ({ path, form })));
const asText = (imports: ReturnType<typeof inEveryForm>) =>
  imports.map(({ path, form }, i) => `${form.write(path, i)}\n`).join('');

describe('the linter', () => {
  let refused: Map<string, Set<number>>;
  before(() => {
    const files = RULES.flatMap(({ from, never, may }): [string, string][] => [
      [`${from}/against.ts`, asText(inEveryForm(never))],
      [`${from}/along.ts`, asText(inEveryForm(may))],
    ]);
    refused = lintPlanted(new Map(files));
  });

  for (const { from, never } of RULES) {
    test(`${from}: each import against the direction is refused, in every form`, () => {
      inEveryForm(never).forEach(({ path, form }, i) => {
        assert.ok(refused.get(`${from}/against.ts`)!.has(i + 1), `${form.name} of ${path} passes in ${from}`);
      });
    });
    test(`${from}: imports along the direction pass`, () => {
      assert.deepEqual(refused.get(`${from}/along.ts`), new Set());
    });
  }
});

/** What a process's code may be made of: nothing else is reachable over any chain of imports. */
const PROCESSES: readonly { main: string; never: RegExp[] }[] = [
  {
    main: 'daemon/rig/main.ts',
    never: [/^daemon\/(courier|cli)\//, /^client\//, /^(mqtt|aedes)$/, /^node:(https|tls|dgram|http2|dns)(\/|$)/],
  },
  { main: 'daemon/courier/main.ts', never: [/^daemon\/(rig|cli)\//, /^drivers\//, /^calibration\//] },
  { main: 'daemon/cli/main.ts', never: [/^daemon\/(rig|courier)\//, /^test\//] },
  { main: 'client/index.ts', never: [/^daemon\//, /^drivers\//, /^calibration\//] },
  { main: 'core/contract/index.ts', never: [/^(daemon|certs|client|drivers|calibration)\//] },
];

for (const { main, never } of PROCESSES)
  test(`${main}: no chain of imports leads to the other side`, () => {
    const via = new Map<string, string>([[main, '']]);
    for (const file of via.keys()) {
      if (!existsSync(join(ROOT, file))) continue; // a package, or data
      if (!file.endsWith('.ts')) continue;
      const { imports, urls } = readFacts(file);
      const code = urls.filter((url): url is string => url?.endsWith('.js') === true && !isProcessMain(file, url));
      for (const specifier of [...imports, ...code]) {
        const target = resolveImport(file, specifier) ?? specifier;
        if (!via.has(target)) via.set(target, file);
      }
    }
    assert.ok(via.size > 1, `${main} imports nothing`);
    for (const target of via.keys())
      for (const pattern of never) assert.doesNotMatch(target, pattern, `${via.get(target)} imports ${target}`);
  });

/** The command line starts the two processes; their main files are the only code that it names. */
function isProcessMain(file: string, url: string): boolean {
  return file.startsWith('daemon/cli/') && /^daemon\/(rig|courier)\/main\.ts$/.test(resolveImport(file, url) ?? '');
}

test('code that is reached by URL (workers, child processes) lies in the folder of the file that names it', () => {
  let seen = 0;
  for (const file of sourceFiles().filter((name) => !name.startsWith('test/') && !name.startsWith('scripts/'))) {
    for (const url of readFacts(file).urls) {
      assert.notEqual(url, null, `${file}: the URL is put together at run time, so that nobody can follow it`);
      if (!/\.[cm]?[jt]s$/.test(url!)) continue; // data beside the code
      seen += 1;
      if (isProcessMain(file, url!)) continue;
      const target = resolveImport(file, url!)!;
      assert.ok(target.startsWith(`${dirname(file)}/`), `${file} reaches ${target}`);
      assert.ok(existsSync(join(ROOT, target)), `${file}: ${target} is not there`);
    }
  }
  assert.ok(seen > 0, 'no worker was found: the scan is blind');
});

test('only main.ts (and scripts, tests, the command line) ends the process or reads the environment', () => {
  for (const file of sourceFiles()) {
    if (/(^|\/)main\.ts$/.test(file) || /^(scripts|test|daemon\/cli)\//.test(file)) continue;
    assert.deepEqual(readFacts(file).processUses, [], file);
  }
});

test('the scans see what they are for', () => {
  const { imports, urls, processUses } = factsOf(`
    import { a } from './a.js'; import type { B } from './b.js'; export * from './c.js'; const d = await import('./d.js');
    new Worker(new URL('./w.js', import.meta.url)); new URL(name, import.meta.url);
    import whole from 'node:process'; import { hrtime, env as e } from 'node:process';
    process.exit(1); process.env.HOME; globalThis.process.env; process['env']; const { env } = process;
    // process.exit(2)
    const text = 'process.env'; process.exitCode = 1;`);
  assert.deepEqual(imports, ['./a.js', './b.js', './c.js', './d.js', 'node:process', 'node:process']);
  assert.deepEqual(urls, ['./w.js', null]);
  assert.deepEqual(processUses, ['*', 'env', 'process.exit', 'process.env', 'process.env', 'process[…]', '= process']);
});
