/**
 * `npm test`: runs the compiled tests with node's own runner and ends with one line, `N passed, N failed`.
 *
 * Arguments choose files: each is a part of a test file's path, for instance `certs/` or `wav-reader`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestCounts } from './test-counts.js';
import { installCommand, installPackages, missingPackages, peerPath } from './test-peers.js';

const UNAVAILABLE = 69; // EX_UNAVAILABLE of sysexits(3)
/** A test that hangs fails after this long, instead of holding the run for ever. */
const TEST_TIMEOUT_MS = 20 * 60 * 1000;

const testRoot = fileURLToPath(new URL('../test/', import.meta.url));
const sourceRoot = fileURLToPath(new URL('../../test/', import.meta.url));
const reporter = new URL('test-counts.js', import.meta.url).href;
const addonScript = fileURLToPath(new URL('../../scripts/install-addon.mjs', import.meta.url));

function testFiles(filters: readonly string[]): string[] {
  const all = readdirSync(testRoot, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    // What an earlier build left of a test that is gone from the tree is not run.
    .filter((name) => existsSync(join(sourceRoot, name.replace(/\.js$/, '.ts'))))
    .sort();
  const chosen = filters.map((filter) => filter.replace(/^(build\/)?test\//, '').replace(/\.ts$/, '.js'));
  return all
    .filter((name) => chosen.length === 0 || chosen.some((part) => name.includes(part)))
    .map((name) => relative(process.cwd(), join(testRoot, name)));
}

/** Makes sure that the peers are here. @returns false when somebody has to install them first */
function preparePeers(path: string): boolean {
  const missing = missingPackages(path);
  if (missing.length === 0) return true;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.error(`installing ${missing.join(', ')}`);
    try {
      installPackages(missing, process.env);
    } catch (error) {
      console.error(`apt-get failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (missingPackages(path).length === 0) return true;
  }
  console.error(`The tests run against real programs that are not here. Install them with\n`);
  console.error(`  ${installCommand(missingPackages(path))}\n`);
  return false;
}

function run(files: readonly string[], countsFile: string, env: NodeJS.ProcessEnv): Promise<number> {
  const options = [
    '--test',
    '--test-concurrency=2',
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${countsFile}`,
  ];
  const child = spawn(process.execPath, [...options, ...files], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  // Ctrl-C reaches the whole process group by itself; a service manager's SIGTERM reaches only us.
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGINT', () => undefined);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

function readCounts(file: string): TestCounts {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as TestCounts;
  } catch {
    return { passed: 0, failed: 0, skipped: 0, empty: [] };
  }
}

async function main(): Promise<number> {
  const env = { ...process.env, PATH: peerPath(process.env['PATH'] ?? '') };
  if (!preparePeers(env.PATH)) return UNAVAILABLE;
  // What it is compiled with may have come with the peers, after outboard itself was installed.
  spawnSync(process.execPath, [addonScript, '--if-stale'], { env, stdio: ['ignore', 2, 2] });
  const files = testFiles(process.argv.slice(2));
  if (files.length === 0) {
    console.error('no test file matches');
    console.log('0 passed, 0 failed');
    return 1;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'outboard-tests-'));
  try {
    const countsFile = join(scratch, 'counts.json');
    const code = await run(files, countsFile, env);
    const { passed, failed, skipped, empty } = readCounts(countsFile);
    for (const file of empty) console.error(`${file}: holds no test`);
    if (passed + failed === 0) console.error('no test was executed');
    // A runner that ends badly without naming a test has failed all the same.
    const failures = Math.max(failed + empty.length, code === 0 ? 0 : 1);
    console.log(`${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    if (code !== 0) return code;
    return failures > 0 || passed === 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
