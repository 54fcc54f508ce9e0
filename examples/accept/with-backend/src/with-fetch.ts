import { apiUrl, timeout, type Invitations, type Result } from './invitations.js';
import { accessToken } from './token.js';

async function call(path: string, method = 'GET', body?: object): Promise<Result> {
  const response = await fetch(`${apiUrl}/api/organization-invitations/${path}`, {
    method,
    headers: { authorization: `Bearer ${await accessToken()}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: timeout(),
  });
  const answer = await response.json();
  return response.ok ? { invitation: answer } : { code: answer.code ?? `http.${response.status}` };
}

export const invitations: Invitations = {
  get: (id) => call(id),
  verify: (id, token) => call(`${id}/token/verify`, 'POST', { token }),
  accept: (id, acceptedUserId, token) => call(`${id}/status`, 'PUT', { status: 'Accepted', acceptedUserId, token }),
};
