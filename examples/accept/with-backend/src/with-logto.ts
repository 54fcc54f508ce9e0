import { createApiClient } from '@logto/api/management';
import type { Client } from 'openapi-fetch';
import { apiUrl, timeout, type Invitation, type Invitations, type Result } from './invitations.js';
import { accessToken } from './token.js';

// createManagementApi() would take tokens from `${apiUrl}/oidc/token` only.
const client = createApiClient({ baseUrl: apiUrl, getToken: () => accessToken() });
const at = (id: string) => ({ params: { path: { id } }, signal: timeout() });

/** The operation that Logto does not have. Its client sends any path; only the types have to be told. */
interface BeyondLogto {
  '/api/organization-invitations/{id}/token/verify': {
    post: {
      parameters: { path: { id: string } };
      requestBody: { content: { 'application/json': { token: string } } };
      responses: { 200: { content: { 'application/json': Invitation } } };
    };
  };
}
const beyondLogto = client as unknown as Client<BeyondLogto>;

function result({ data, error, response }: { data?: Invitation; error?: unknown; response: Response }): Result {
  const code = (error as { code?: string } | undefined)?.code ?? `http.${response.status}`;
  return data ? { invitation: data } : { code };
}

export const invitations: Invitations = {
  get: async (id) => result(await client.GET('/api/organization-invitations/{id}', at(id))),
  verify: async (id, token) =>
    result(await beyondLogto.POST('/api/organization-invitations/{id}/token/verify', { ...at(id), body: { token } })),
  accept: async (id, acceptedUserId, token) => {
    // A variable, since a literal may not have the field `token`, which Logto's types lack.
    const body = { status: 'Accepted' as const, acceptedUserId, token };
    return result(await client.PUT('/api/organization-invitations/{id}/status', { ...at(id), body }));
  },
};
