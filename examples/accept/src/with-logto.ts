import { createApiClient } from '@logto/api/management';
import { apiUrl, timeout, type Invitation, type Invitations, type Result } from './invitations.js';
import { accessToken } from './token.js';

// createManagementApi() would take tokens from `${apiUrl}/oidc/token` only.
const client = createApiClient({ baseUrl: apiUrl, getToken: () => accessToken() });
const at = (id: string) => ({ params: { path: { id } }, signal: timeout() });

function result({ data, error, response }: { data?: Invitation; error?: unknown; response: Response }): Result {
  const code = (error as { code?: string } | undefined)?.code ?? `http.${response.status}`;
  return data ? { invitation: data } : { code };
}

export const invitations: Invitations = {
  get: async (id) => result(await client.GET('/api/organization-invitations/{id}', at(id))),
  accept: async (id, acceptedUserId) => {
    const options = { ...at(id), body: { status: 'Accepted' as const, acceptedUserId } };
    return result(await client.PUT('/api/organization-invitations/{id}/status', options));
  },
};
