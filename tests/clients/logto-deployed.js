// Logto's own client against a deployed stack, whose tokens come from elsewhere: `createApiClient` with a `getToken`. Takes the
// address of the API as its argument, and the token from its standard input.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { createApiClient } from '@logto/api/management';

const token = (await text(process.stdin)).trim();
const client = createApiClient({ baseUrl: process.argv[2], getToken: async () => token });
const invitations = '/api/organization-invitations';

const created = await client.POST(invitations, {
  body: {
    inviterId: 'ada',
    invitee: `logto-client-${Date.now()}@example.com`,
    organizationId: 'acme',
    expiresAt: Date.now() + 7 * 24 * 60 * 60 * 1000,
    organizationRoleIds: ['member'],
    messagePayload: { link: 'https://app.example.com/invitations/{invitationId}' },
  },
});
assert.equal(created.response.status, 201, JSON.stringify(created.error));
const { id, invitee } = created.data;
const listed = await client.GET(invitations, { params: { query: { invitee } } });
assert.deepEqual(listed.data, [created.data], JSON.stringify(listed.error));
const revoked = await client.PUT(`${invitations}/{id}/status`, { params: { path: { id } }, body: { status: 'Revoked' } });
assert.equal(revoked.data?.status, 'Revoked', JSON.stringify(revoked.error));
const removed = await client.DELETE(`${invitations}/{id}`, { params: { path: { id } } });
assert.equal(removed.response.status, 204, JSON.stringify(removed.error));
console.log(`createApiClient created, listed, revoked and deleted ${id}`);
