// Calls the operations of the API with Logto's own client, unchanged, at the URL in the argument. It can run repeatedly,
// also after an interrupted run: each run uses new addresses, except for Ada's invitation.
// With a token in ACCESS_TOKEN, it calls a deployed stack. Without, it calls `cargo dev`, which issues tokens and shows the
// mails.
import assert from 'node:assert/strict';
import { createApiClient, createManagementApi } from '@logto/api/management';

const baseUrl = process.argv[2];
const token = process.env.ACCESS_TOKEN;
const apiClient = token
  ? createApiClient({ baseUrl, getToken: async () => token })
  : createManagementApi('default', { clientId: 'any', clientSecret: 'any', baseUrl }).apiClient;
const invitations = '/api/organization-invitations';
const payload = { link: 'https://app.example.com/invitations/{invitationId}', locale: 'de' };
const invitation = {
  inviterId: 'ada',
  invitee: `logto-client-${Date.now()}@example.com`,
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
const inbox = async () => (await fetch(new URL('/inbox.json', baseUrl))).json();
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

// Another invitation, which the filters must exclude.
const quiet = await create({ ...invitation, inviterId: null, invitee: `Quiet-${invitation.invitee}`, messagePayload: false });
assert.equal(quiet.response.status, 201, JSON.stringify(quiet.error));
for (const [query, expected] of [
  [{}, [quiet.data, created.data]],
  [undefined, [quiet.data, created.data]],
  [{ organizationId: 'acme' }, [quiet.data, created.data]],
  [{ organizationId: 'nowhere' }, []],
  [{ inviterId: 'ada' }, [created.data]],
  [{ invitee: `QUIET-${invitation.invitee}` }, [quiet.data]],
  [{ organizationId: 'acme', inviterId: 'ada', invitee: invitation.invitee }, [created.data]],
  [{ inviterId: 'ada', invitee: `quiet-${invitation.invitee}` }, []],
]) {
  const ours = (await list(query)).filter((each) => [id, quiet.data.id].includes(each.id));
  assert.deepEqual(ours, expected, JSON.stringify(query));
}

assert.deepEqual((await get(id)).data, created.data);
refused(await get('unknown'), 404, 'entity.not_found');

const before = token ? [] : await inbox();
const mailed = await mail(id, { ...payload, locale: 'fr' });
assert.equal(mailed.response.status, 204, JSON.stringify(mailed.error));
if (!token) {
  const [second, ...others] = await inbox();
  assert.deepEqual(others, before);
  assert.equal(second.to, invitation.invitee);
  const first = others.find((each) => each.to === invitation.invitee);
  assert.ok(first.text.includes(`https://app.example.com/invitations/${id}`));
  assert.notEqual(second.subject, first.subject);
}

// Only the first of several runs can make Ada a member. An interrupted run may have left her invitation pending.
refused(await setStatus(id, { status: 'Accepted', acceptedUserId: 'ada' }), 422, 'request.invalid_input');
const invitationOfAda = { ...invitation, inviterId: null, invitee: 'Ada@Example.com', messagePayload: false };
let ada = await create(invitationOfAda);
if (ada.error?.code === 'entity.unique_integrity_violation') {
  assert.equal((await remove(ada.error.data.invitationId)).response.status, 204);
  ada = await create(invitationOfAda);
}
if (ada.response.status === 201) {
  const accepted = await setStatus(ada.data.id, { status: 'Accepted', acceptedUserId: 'ada' });
  assert.equal(accepted.response.status, 200, JSON.stringify(accepted.error));
  const { updatedAt } = accepted.data;
  assert.ok(updatedAt >= ada.data.updatedAt);
  assert.deepEqual(accepted.data, { ...ada.data, status: 'Accepted', acceptedUserId: 'ada', updatedAt });
  assert.equal((await remove(ada.data.id)).response.status, 204);
}
refused(await create({ ...invitation, invitee: 'ada@example.com' }), 422, 'request.invalid_input');

const revoked = await setStatus(id, { status: 'Revoked' });
assert.equal(revoked.response.status, 200, JSON.stringify(revoked.error));
assert.equal(revoked.data.status, 'Revoked');
refused(await setStatus(id, { status: 'Revoked' }), 422, 'request.invalid_input');
refused(await mail(id, payload), 422, 'request.invalid_input');

for (const each of [id, quiet.data.id]) {
  assert.equal((await remove(each)).response.status, 204);
  refused(await remove(each), 404, 'entity.not_found');
}
console.log(`@logto/api created, listed, read, mailed, revoked and deleted ${id}, and Ada is a member`);
