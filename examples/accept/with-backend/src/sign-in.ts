// REPLACE: a sign-in with the issuer of `cargo dev`, by the authorization code flow with PKCE. Your application has its own,
// with sessions that outlive the process.
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { apiUrl, timeout } from './invitations.js';
import { cookie, html, page, redirect, setCookie, type Page } from './page.js';

interface Person { sub: string; email: string | undefined }

const ISSUER = process.env.ISSUER ?? `${apiUrl}/oidc`;
const CLIENT = { client_id: 'accept-with-backend', resource: 'https://default.logto.app/api' };
const sessions = new Map<string, Person>();
const secret = () => randomBytes(32).toString('base64url');

export const personOf = ({ headers }: IncomingMessage) => sessions.get(cookie(headers.cookie, 'session') ?? '');

async function discover(): Promise<{ authorization_endpoint: string; token_endpoint: string }> {
  const response = await fetch(`${ISSUER}/.well-known/openid-configuration`, { signal: timeout() });
  if (!response.ok) throw new Error(`the issuer's configuration answered ${response.status}`);
  return response.json();
}

/** Leads to the issuer. The cookie ties its answer to this browser. */
export async function beginSignIn(origin: string, returnTo: string): Promise<Page> {
  const [state, verifier] = [secret(), secret()];
  const parameters = new URLSearchParams({
    ...CLIENT,
    response_type: 'code',
    redirect_uri: `${origin}/sign-in/callback`,
    scope: 'openid email',
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  // A path of this site only: another one could imitate it.
  const path = /^\/invitations\/[0-9a-z]{21}$/.test(returnTo) ? returnTo : '/';
  const attempt = setCookie(origin, 'sign-in', [state, verifier, path].join('.'), '/sign-in');
  return redirect(`${(await discover()).authorization_endpoint}?${parameters}`, { 'set-cookie': attempt });
}

/** Exchanges the issuer's code for the person, and starts a session. */
export async function endSignIn(origin: string, { headers }: IncomingMessage, answer: URLSearchParams): Promise<Page> {
  const [state, verifier, path] = cookie(headers.cookie, 'sign-in')?.split('.') ?? [];
  const code = answer.get('code');
  if (!code || !verifier || !path || answer.get('state') !== state) {
    return page(400, 'You are not signed in', html`<p>Open the link in the mail again.`);
  }
  const grant = { ...CLIENT, grant_type: 'authorization_code', code, redirect_uri: `${origin}/sign-in/callback`, code_verifier: verifier };
  const request = { method: 'POST', body: new URLSearchParams(grant), signal: timeout() };
  const response = await fetch((await discover()).token_endpoint, request);
  if (!response.ok) throw new Error(`the token endpoint answered ${response.status} to a code`);
  const session = secret();
  sessions.set(session, person((await response.json()).access_token));
  return redirect(path, { 'set-cookie': setCookie(origin, 'session', session, '/') });
}

/** The claims of a token that came from the issuer itself, so that its signature tells nothing new. */
function person(token: string): Person {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  return { sub: claims.sub, email: claims.email_verified === true ? claims.email : undefined };
}
