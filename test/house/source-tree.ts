/** The project's own source files, and what the TypeScript parser finds in each: imports, URLs of code, uses of the process. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const FOLDERS = ['core', 'certs', 'drivers', 'calibration', 'client', 'daemon', 'scripts', 'test'];

/** Paths of all sources relative to the root, with slashes. */
export function sourceFiles(): string[] {
  const files: string[] = [];
  for (const folder of FOLDERS) {
    let names: string[];
    try {
      names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
    } catch {
      continue;
    }
    for (const name of names) if (name.endsWith('.ts')) files.push(`${folder}/${name}`);
  }
  return files.sort();
}

export interface SourceFacts {
  /** Specifiers of static, type-only and dynamic imports and of re-exports. */
  imports: string[];
  /** First arguments of \`new URL(…, import.meta.url)\`; null where it is not a literal. */
  urls: (string | null)[];
  /** \`process.exit\` and \`process.env\` in any spelling. */
  processUses: string[];
}

export function readFacts(file: string): SourceFacts {
  return factsOf(readFileSync(join(ROOT, file), 'utf8'));
}

export function factsOf(text: string): SourceFacts {
  const facts: SourceFacts = { imports: [], urls: [], processUses: [] };
  facts.imports = ts.preProcessFile(text, true, true).importedFiles.map((imported) => imported.fileName);
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && isImportMetaUrl(node)) facts.urls.push(literal(node.arguments![0]!));
    facts.processUses.push(...processUses(node));
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true));
  return facts;
}

/** The source file that a relative specifier means, or null for a package. */
export function resolveImport(from: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return normalize(join(dirname(from), specifier)).replace(/\.js$/, '.ts');
}

function isImportMetaUrl(node: ts.NewExpression): boolean {
  if (!ts.isIdentifier(node.expression) || node.expression.text !== 'URL' || node.arguments?.length !== 2) return false;
  return node.arguments[1]!.getText() === 'import.meta.url';
}

function literal(node: ts.Node): string | null {
  return ts.isStringLiteralLike(node) ? node.text : null;
}

const FORBIDDEN = new Set(['exit', 'env', 'reallyExit', 'abort']);

function processUses(node: ts.Node): string[] {
  // process.env, globalThis.process.env
  if (ts.isPropertyAccessExpression(node) && isProcess(node.expression) && FORBIDDEN.has(node.name.text))
    return [`process.${node.name.text}`];
  // process['env']
  if (ts.isElementAccessExpression(node) && isProcess(node.expression)) return ['process[…]'];
  // const { env } = process
  if (ts.isVariableDeclaration(node) && node.initializer && isProcess(node.initializer)) return ['= process'];
  // import { env } from 'node:process'
  if (ts.isImportDeclaration(node) && /^(node:)?process$/.test(literal(node.moduleSpecifier) ?? ''))
    return importedNames(node).filter((name) => name === '*' || FORBIDDEN.has(name));
  return [];
}

/** Names that an import takes out of its module; `*` stands for all of it. */
function importedNames(node: ts.ImportDeclaration): string[] {
  const bindings = node.importClause?.namedBindings;
  const whole = node.importClause?.name !== undefined || (bindings !== undefined && !ts.isNamedImports(bindings));
  const named = bindings !== undefined && ts.isNamedImports(bindings) ? bindings.elements : [];
  return [...(whole ? ['*'] : []), ...named.map((element) => (element.propertyName ?? element.name).text)];
}

function isProcess(node: ts.Expression): boolean {
  if (ts.isIdentifier(node)) return node.text === 'process';
  return ts.isPropertyAccessExpression(node) && node.name.text === 'process';
}
