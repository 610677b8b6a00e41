/** A reporter for node's test runner: writes one JSON object with the number of tests by outcome. Suites are not tests. */
import { resolve } from 'node:path';

interface TestEvent {
  type: string;
  data: {
    name: string;
    nesting: number;
    file?: string;
    skip?: string | boolean;
    todo?: string | boolean;
    details?: { type?: string; error?: { failureType?: string } };
  };
}

export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
  /** Files that ended well without one test: the runner calls that a pass. */
  empty: string[];
}

export default async function* countTests(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts: TestCounts = { passed: 0, failed: 0, skipped: 0, empty: [] };
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // A failing `describe` repeats the failure of its tests, except when it failed itself (in its body or a hook).
    if (data.details?.type === 'suite' && !(type === 'test:fail' && failedItself(data))) continue;
    if (isSet(data.skip) || isSet(data.todo)) counts.skipped += 1;
    else if (type === 'test:fail') counts.failed += 1;
    else if (standsForFile(data)) counts.empty.push(data.name);
    else counts.passed += 1;
  }
  yield `${JSON.stringify(counts)}\n`;
}

function isSet(flag: string | boolean | undefined): boolean {
  return flag !== undefined && flag !== false;
}

function failedItself(data: TestEvent['data']): boolean {
  return data.details?.error?.failureType !== 'subtestsFailed';
}

/** The runner reports a file under its own path only when no test inside it reported anything. */
function standsForFile(data: TestEvent['data']): boolean {
  return data.nesting === 0 && data.file !== undefined && resolve(data.name) === data.file;
}
