// The authorization code flow with PKCE (RFC 7636), by the issuer's discovery document.
import { settings } from './settings.js';

const CLIENT = { ...settings.parameters, client_id: settings.clientId, redirect_uri: location.origin + location.pathname };
const ATTEMPT = 'sign-in';
// API Gateway answers within this time: whoever gives up earlier may have accepted without knowing it.
export const timeout = () => AbortSignal.timeout(30_000);

const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/[+/=]/g, (character) => ({ '+': '-', '/': '_', '=': '' })[character]);
const secret = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const sha256 = (text) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));

async function json(url, init) {
  const response = await fetch(url, { ...init, signal: timeout() });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json();
}

const discover = () => json(`${settings.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);

/** Leads to the issuer, and from there back to this page, with its fragment. */
export async function signIn(parameters = {}) {
  const url = new URL((await discover()).authorization_endpoint);
  const attempt = { state: secret(), verifier: secret(), fragment: location.hash };
  const question = {
    ...CLIENT,
    ...parameters,
    response_type: 'code',
    state: attempt.state,
    code_challenge: base64url(await sha256(attempt.verifier)),
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(question)) url.searchParams.set(name, value);
  sessionStorage.setItem(ATTEMPT, JSON.stringify(attempt));
  location.assign(url);
}

/** If the issuer has led to this page, returns the token and its end, in ms. Throws if the sign-in fails. */
export async function sessionOfIssuer() {
  const answer = new URLSearchParams(location.search);
  if (!answer.has('state')) return undefined;
  const { state, verifier, fragment = '' } = JSON.parse(sessionStorage.getItem(ATTEMPT) ?? '{}');
  sessionStorage.removeItem(ATTEMPT);
  // Neither the history nor a reload has the code.
  history.replaceState(null, '', location.pathname + fragment);
  if (answer.get('state') !== state) throw new Error('the answer is for another sign-in');
  if (!answer.has('code')) throw new Error(`the issuer answered ${answer.get('error')}`);
  const grant = { ...CLIENT, grant_type: 'authorization_code', code: answer.get('code'), code_verifier: verifier };
  const { token_endpoint: url } = await discover();
  const { access_token: token, expires_in: seconds = 300 } = await json(url, { method: 'POST', body: new URLSearchParams(grant) });
  return { token, expiresAt: Date.now() + seconds * 1000 };
}
