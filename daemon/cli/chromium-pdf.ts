/** A page of HTML as PDF: printed by a headless Chromium, which knows the page's own style for paper. It is given no network. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { OutboardError } from '../../core/errors.js';

/** As Debian, other distributions and its makers call it. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
/** A large report on a slow, busy host. */
const TIMEOUT_MS = 120_000;
const TAIL_CHARACTERS = 400;

/** @throws OutboardError report.chromium when there is none, or it fails */
export async function pdfOf(html: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'outboard-report-'));
  try {
    const [page, pdf] = [join(folder, 'report.html'), join(folder, 'report.pdf')];
    await writeFile(page, html, { mode: 0o600 });
    await chromium([
      '--headless=new',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--host-resolver-rules=MAP * ~NOTFOUND',
      // Its sandbox refuses to run as root. The page is ours and holds no script.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      `--user-data-dir=${join(folder, 'profile')}`,
      '--no-pdf-header-footer',
      `--print-to-pdf=${pdf}`,
      pathToFileURL(page).href,
    ]);
    return await readFile(pdf).catch((cause) => {
      throw new OutboardError('report.chromium', 'Chromium ended well, but made no PDF', { cause });
    });
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function chromium(args: readonly string[]): Promise<void> {
  for (const name of NAMES) if (await ran(name, args)) return;
  throw new OutboardError('report.chromium', `no Chromium is installed here (looked for ${NAMES.join(', ')})`);
}

/** False when there is no such program. */
function ran(name: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-TAIL_CHARACTERS);
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve(false);
      else reject(new OutboardError('report.chromium', `${name}: ${error.message}`, { cause: error }));
    });
    child.once('close', (status, signal) => {
      if (status === 0) resolve(true);
      else if (status !== null || signal !== null)
        reject(new OutboardError('report.chromium', `${name} ended with ${signal ?? status}: ${said.trim()}`));
    });
  });
}
