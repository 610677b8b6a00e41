/**
 * Reads a mosquitto access list and answers its questions, so that the embedded broker allows what the generated file allows: there is
 * one list, not two. Understands what `mosquittoAcl` writes: `user`, `topic` and `pattern` with `read`, `write` or `readwrite`; %u is
 * the user's name.
 */
import { OutboardError } from '../../core/errors.js';

interface Rule {
  /** Whom it is for; null for everybody. */
  user: string | null;
  read: boolean;
  write: boolean;
  /** Topic filter; may hold %u. */
  filter: string;
}

export interface AccessList {
  /** May this user publish to the topic? */
  mayWrite(user: string, topic: string): boolean;
  /** May this user receive everything that the filter matches? */
  mayRead(user: string, filter: string): boolean;
}

/** @throws OutboardError config.invalid naming the line that is not understood */
export function parseAccessList(text: string): AccessList {
  const rules: Rule[] = [];
  let user: string | null = null;
  text.split('\n').forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return;
    const section = /^user\s+(\S+)$/.exec(trimmed);
    if (section) {
      user = section[1]!;
      return;
    }
    const [, kind, access, filter] = /^(topic|pattern)\s+(read|write|readwrite)\s+(\S+)$/.exec(trimmed) ?? [];
    if (kind === undefined || filter === undefined || (kind === 'topic' && user === null))
      throw new OutboardError('config.invalid', `access list, line ${index + 1}: not understood: ${trimmed}`, {
        details: { line: index + 1 },
      });
    rules.push({ user: kind === 'topic' ? user : null, read: access !== 'write', write: access !== 'read', filter });
  });
  const allows = (who: string, wanted: 'read' | 'write', filter: string) =>
    rules.some(
      (rule) =>
        rule[wanted] &&
        (rule.user === null || rule.user === who) &&
        coversFilter(rule.filter.replaceAll('%u', who), filter),
    );
  return {
    // A topic to publish to has no wildcards; one that has is no topic.
    mayWrite: (who, topic) => !/[+#]/.test(topic) && allows(who, 'write', topic),
    mayRead: (who, filter) => allows(who, 'read', filter),
  };
}

/** True when every topic that `inner` matches is matched by `outer` too (MQTT 5 section 4.7; a plain topic is a filter as well). */
export function coversFilter(outer: string, inner: string): boolean {
  const wide = outer.split('/');
  const narrow = inner.split('/');
  for (const [i, level] of wide.entries()) {
    // `a/#` matches `a` itself too.
    if (level === '#') return true;
    const other = narrow[i];
    if (other === undefined || other === '#') return false;
    if (level !== '+' && level !== other) return false;
  }
  // `a/b` does not cover `a/b/#`, and what is longer is another topic.
  return narrow.length === wide.length;
}
