export class Html { constructor(readonly text: string) {} }
export interface Page { status: number; headers: Record<string, string>; body: Html }

const escape = (value: string) => value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const render = (value: string | Html | Html[]): string =>
  Array.isArray(value) ? value.map(render).join('') : value instanceof Html ? value.text : escape(value);

/** HTML with values: those that are not HTML themselves are escaped. */
export const html = (parts: TemplateStringsArray, ...values: (string | Html | Html[])[]) =>
  new Html(String.raw({ raw: parts }, ...values.map(render)));

export function page(status: number, title: string, content: Html, headers: Page['headers'] = {}): Page {
  const head = html`<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>`;
  const body = html`<!doctype html><html lang="en">${head}<h1>${title}</h1>${content}</html>`;
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers }, body };
}

export const redirect = (location: string): Page => ({ status: 303, headers: { location }, body: html`` });
