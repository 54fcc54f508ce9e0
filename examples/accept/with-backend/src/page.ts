import { createHash } from 'node:crypto';

export class Html { constructor(readonly text: string) {} }
export interface Page { status: number; headers: Record<string, string>; body: Html }

const escape = (value: string) => value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const render = (value: string | Html | Html[]): string =>
  Array.isArray(value) ? value.map(render).join('') : value instanceof Html ? value.text : escape(value);

/** HTML with values: those that are not HTML themselves are escaped. */
export const html = (parts: TemplateStringsArray, ...values: (string | Html | Html[])[]) =>
  new Html(String.raw({ raw: parts }, ...values.map(render)));

const STYLE = new Html(`
:root { color-scheme: light dark }
body { max-width: 34rem; margin: auto; padding: 2rem 1.25rem; font: 1.125rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
body { background: Canvas; color: CanvasText }
button { padding: .75rem 1.25rem; font: inherit }
`);
const styleHash = createHash('sha256').update(STYLE.text).digest('base64');

/** The headers of every page. */
export const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'`,
  // Not `no-referrer`, with which browsers would hide the origin of the form's POST.
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

export function page(status: number, title: string, content: Html, headers: Page['headers'] = {}): Page {
  const head = html`<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
    <link rel="icon" href="data:,"><style>${STYLE}</style>`;
  const body = html`<!doctype html><html lang="en">${head}<main><h1>${title}</h1>${content}</main></html>`;
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers }, body };
}

export const redirect = (location: string, headers: Page['headers'] = {}): Page =>
  ({ status: 303, headers: { location, ...headers }, body: html`` });

/** A cookie of the request. */
export const cookie = (header: string | undefined, name: string) =>
  (header ?? '').split('; ').find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);

/** A `Set-Cookie` that scripts cannot read, and that no other site's form sends along. */
export const setCookie = (origin: string, name: string, value: string, path: string) =>
  `${name}=${value}; Path=${path}; HttpOnly; SameSite=Lax${origin.startsWith('https:') ? '; Secure' : ''}`;
