/** HTML from templates: what is put in is text, unless it was made here. */

export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Html | string | number | null | undefined | false | readonly Content[];

/** Everything between the tags is escaped; `null`, `undefined` and `false` are nothing. */
export function html(parts: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(parts.reduce((all, part, n) => all + written(contents[n - 1]) + part));
}

/** For what is HTML or SVG already. */
export function raw(text: string): Html {
  return new Html(text);
}

function written(content: Content): string {
  if (content instanceof Html) return content.text;
  if (Array.isArray(content)) return content.map(written).join('');
  if (content === null || content === undefined || content === false) return '';
  return String(content).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
