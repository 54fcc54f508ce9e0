// The server's own tokens, by the client credentials grant. They never reach a browser.
import { apiUrl, timeout } from './invitations.js';

const { TOKEN_URL = `${apiUrl}/oidc/token`, CLIENT_ID = 'any', CLIENT_SECRET = 'any', TOKEN_PARAMETERS } = process.env;
const client = { grant_type: 'client_credentials', client_id: CLIENT_ID, client_secret: CLIENT_SECRET };
let cached = { token: '', renewAt: 0 };

/** A token that is valid for at least a minute. */
export async function accessToken(now = Date.now()): Promise<string> {
  if (now < cached.renewAt) return cached.token;
  const body = new URLSearchParams([...new URLSearchParams(TOKEN_PARAMETERS), ...Object.entries(client)]);
  const response = await fetch(TOKEN_URL, { method: 'POST', body, signal: timeout() });
  if (!response.ok) throw new Error(`the token endpoint answered ${response.status}`);
  const { access_token: token, expires_in: seconds } = await response.json();
  cached = { token, renewAt: now + (seconds - 60) * 1000 };
  return token;
}
