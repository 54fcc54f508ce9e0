// Logto's own client, unchanged: creates an invitation through the gateway at the address that is given.
import assert from 'node:assert/strict';
import { createManagementApi } from '@logto/api/management';

const { apiClient } = createManagementApi('default', {
  clientId: 'any',
  clientSecret: 'any',
  baseUrl: process.argv[2],
});
const invitation = {
  inviterId: 'ada',
  invitee: 'logto-client@example.com',
  organizationId: 'acme',
  expiresAt: Date.now() + 7 * 24 * 60 * 60 * 1000,
  organizationRoleIds: ['member'],
  messagePayload: { link: 'https://app.example.com/invitations/{invitationId}', locale: 'de' },
};

const created = await apiClient.POST('/api/organization-invitations', { body: invitation });
assert.equal(created.response.status, 201, JSON.stringify(created.error));
assert.deepEqual(created.data.organizationRoles, [{ id: 'member', name: 'Member' }]);
assert.equal(created.data.status, 'Pending');

const repeated = await apiClient.POST('/api/organization-invitations', { body: invitation });
assert.equal(repeated.response.status, 422);
assert.equal(repeated.error.code, 'entity.unique_integrity_violation');
assert.equal(repeated.error.data.invitationId, created.data.id);

const [mail] = await (await fetch(new URL('/inbox.json', process.argv[2]))).json();
assert.equal(mail.to, invitation.invitee);
assert.ok(mail.text.includes(`https://app.example.com/invitations/${created.data.id}`));
console.log(`@logto/api created ${created.data.id}`);
