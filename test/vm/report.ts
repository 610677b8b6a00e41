/** What the guest says over its second serial port: one JSON object a line. Whatever else is on the line is the kernel's or systemd's. */

export type Report =
  | { kind: 'plan'; checks: string[] }
  | { kind: 'check'; name: string; ok: boolean; detail: string; seconds: number }
  | { kind: 'info'; text: string }
  | { kind: 'log'; text: string }
  | { kind: 'end' };

export function encode(report: Report): string {
  return `${JSON.stringify(report)}\n`;
}

/** @returns null when the line is none of ours */
export function decode(line: string): Report | null {
  const start = line.indexOf('{"kind":');
  if (start === -1) return null;
  try {
    return JSON.parse(line.slice(start)) as Report;
  } catch {
    return null;
  }
}
