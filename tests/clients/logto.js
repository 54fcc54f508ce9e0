// Logto's own client, unchanged: leads invitations through their life at the gateway whose address is given.
import assert from 'node:assert/strict';
import { createManagementApi } from '@logto/api/management';

const { apiClient } = createManagementApi('default', {
  clientId: 'any',
  clientSecret: 'any',
  baseUrl: process.argv[2],
});
const invitations = '/api/organization-invitations';
const payload = { link: 'https://app.example.com/invitations/{invitationId}', locale: 'de' };
const invitation = {
  inviterId: 'ada',
  invitee: 'logto-client@example.com',
  organizationId: 'acme',
  expiresAt: Date.now() + 7 * 24 * 60 * 60 * 1000,
  organizationRoleIds: ['member'],
  messagePayload: payload,
};

const create = (body) => apiClient.POST(invitations, { body });
const list = async (query) => {
  const { data, error } = await apiClient.GET(invitations, { params: { query } });
  assert.equal(error, undefined, JSON.stringify(error));
  return data;
};
const at = (id, more) => ({ params: { path: { id } }, ...more });
const get = (id) => apiClient.GET(`${invitations}/{id}`, at(id));
const mail = (id, body) => apiClient.POST(`${invitations}/{id}/message`, at(id, { body }));
const setStatus = (id, body) => apiClient.PUT(`${invitations}/{id}/status`, at(id, { body }));
const remove = (id) => apiClient.DELETE(`${invitations}/{id}`, at(id));
const inbox = async () => (await fetch(new URL('/inbox.json', process.argv[2]))).json();
const refused = ({ response, error }, status, code) =>
  assert.deepEqual([response.status, error?.code], [status, code], JSON.stringify(error));

const created = await create(invitation);
assert.equal(created.response.status, 201, JSON.stringify(created.error));
assert.deepEqual(created.data.organizationRoles, [{ id: 'member', name: 'Member' }]);
assert.equal(created.data.status, 'Pending');
const { id } = created.data;

const repeated = await create(invitation);
refused(repeated, 422, 'entity.unique_integrity_violation');
assert.equal(repeated.error.data.invitationId, id);

const [first] = await inbox();
assert.equal(first.to, invitation.invitee);
assert.ok(first.text.includes(`https://app.example.com/invitations/${id}`));

// Another one, for the filters to leave out, and to be accepted.
const ada = await create({ ...invitation, inviterId: null, invitee: 'Ada@Example.com', messagePayload: false });
assert.equal(ada.response.status, 201, JSON.stringify(ada.error));
for (const [query, expected] of [
  [{}, [ada.data, created.data]],
  [undefined, [ada.data, created.data]],
  [{ organizationId: 'acme' }, [ada.data, created.data]],
  [{ organizationId: 'nowhere' }, []],
  [{ inviterId: 'ada' }, [created.data]],
  [{ invitee: 'ADA@example.com' }, [ada.data]],
  [{ organizationId: 'acme', inviterId: 'ada', invitee: invitation.invitee }, [created.data]],
  [{ inviterId: 'ada', invitee: 'ada@example.com' }, []],
]) {
  const ours = (await list(query)).filter((each) => [id, ada.data.id].includes(each.id));
  assert.deepEqual(ours, expected, JSON.stringify(query));
}

assert.deepEqual((await get(id)).data, created.data);
refused(await get('unknown'), 404, 'entity.not_found');

const mails = (await inbox()).length;
const mailed = await mail(id, { ...payload, locale: 'fr' });
assert.equal(mailed.response.status, 204, JSON.stringify(mailed.error));
const [second, ...others] = await inbox();
assert.equal(others.length, mails);
assert.equal(second.to, invitation.invitee);
assert.notEqual(second.subject, first.subject);

refused(await setStatus(id, { status: 'Accepted', acceptedUserId: 'ada' }), 422, 'request.invalid_input');
const accepted = await setStatus(ada.data.id, { status: 'Accepted', acceptedUserId: 'ada' });
assert.equal(accepted.response.status, 200, JSON.stringify(accepted.error));
const { updatedAt } = accepted.data;
assert.ok(updatedAt >= ada.data.updatedAt);
assert.deepEqual(accepted.data, { ...ada.data, status: 'Accepted', acceptedUserId: 'ada', updatedAt });
refused(await create({ ...invitation, invitee: 'ada@example.com' }), 422, 'request.invalid_input');

const revoked = await setStatus(id, { status: 'Revoked' });
assert.equal(revoked.response.status, 200, JSON.stringify(revoked.error));
assert.equal(revoked.data.status, 'Revoked');
refused(await setStatus(id, { status: 'Revoked' }), 422, 'request.invalid_input');
refused(await mail(id, payload), 422, 'request.invalid_input');

for (const each of [id, ada.data.id]) {
  assert.equal((await remove(each)).response.status, 204);
  refused(await remove(each), 404, 'entity.not_found');
}
console.log(`@logto/api created, listed, read, mailed, revoked and deleted ${id}, and accepted ${ada.data.id}`);
