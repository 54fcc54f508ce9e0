// The example, with each of its clients, as processes against a running `cargo dev`. A directory row goes to its DynamoDB.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiUrl } from './invitations.js';
import { accessToken } from './token.js';

const { AWS_ENDPOINT_URL_DYNAMODB: dynamoDb = 'http://127.0.0.1:8000', TABLE_NAME = 'organization-invitations' } = process.env;
const PENDING = /<button>Accept the invitation<\/button>/;
const WEEK = 7 * 86_400_000;

const newId = () => randomUUID().slice(0, 8);

async function put(sk: string, attributes: Record<string, string>) {
  const item = Object.entries({ pk: 'TENANT#default', sk, ...attributes }).map(([key, value]) => [key, { S: value }]);
  const response = await fetch(dynamoDb, {
    method: 'POST',
    headers: {
      'x-amz-target': 'DynamoDB_20120810.PutItem',
      'content-type': 'application/x-amz-json-1.0',
      // The emulator wants a signature, and does not verify it.
      authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
      'x-amz-date': '20260101T000000Z',
    },
    body: JSON.stringify({ TableName: TABLE_NAME, Item: Object.fromEntries(item) }),
  });
  assert.equal(response.status, 200, await response.text());
}

async function api(method: string, path = '', body?: object) {
  const response = await fetch(`${apiUrl}/api/organization-invitations${path}`, {
    method,
    headers: { authorization: `Bearer ${await accessToken()}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text) };
}

const get = async (id: string) => (await api('GET', `/${id}`)).body;

/** Invites Ada, unless `more` has somebody else, to a new organization: she can be the member of each only once. */
async function invite(more: { organizationId?: string; [field: string]: unknown } = {}): Promise<any> {
  const organizationId = more.organizationId ?? `org-${newId()}`;
  await put(`ORGANIZATION#${organizationId}`, { name: 'A new organization' });
  const invitation = { inviterId: 'ada', invitee: 'Ada@example.com', expiresAt: Date.now() + WEEK, organizationRoleIds: ['member'] };
  const { status, body } = await api('POST', '', { ...invitation, ...more, organizationId });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

/** Starts the example on a free port, and returns its address. */
async function start(settings: Record<string, string>): Promise<{ origin: string; stop: () => void }> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const origin = `http://127.0.0.1:${(probe.address() as AddressInfo).port}`;
  await new Promise((closed) => probe.close(closed));
  const env = { ...process.env, APP_URL: origin, PORT: '', ...settings };
  const server = spawn(process.execPath, [new URL('server.js', import.meta.url).pathname], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(server.stdout, 'data');
  return { origin, stop: () => server.kill() };
}

for (const CLIENT of ['fetch', 'logto']) {
  describe(`with ${CLIENT}`, { concurrency: true }, () => {
    let origin = '';
    let stop = () => {};
    before(async () => ({ origin, stop } = await start({ CLIENT })));
    after(() => stop());

    async function visit(path: string, init: RequestInit = {}, at = origin) {
      const response = await fetch(at + path, { redirect: 'manual', ...init });
      const { status, headers } = response;
      const text = await response.text();
      const sent = JSON.stringify([...headers]) + text;
      assert.doesNotMatch(sent, /eyJ|bearer/i, 'a token has reached the browser');
      assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/);
      return { status, headers, text };
    }
    const see = (id: string, at?: string) => visit(`/invitations/${id}`, {}, at);

    /** Presses the button, as a browser that has shown the page sends it. */
    const press = (id: string, headers: Record<string, string> = {}, at = origin) =>
      visit(`/invitations/${id}`, { method: 'POST', headers: { origin: at, cookie: 'a=b; invitation=shown', ...headers } }, at);

    test('a scanner that opens the link changes nothing', async () => {
      const invitation = await invite({ organizationRoleIds: ['member', 'admin'] });
      for (const method of ['GET', 'GET', 'HEAD']) {
        const { status, text } = await visit(`/invitations/${invitation.id}?utm_source=mail`, { method });
        assert.equal(status, 200);
        if (method === 'HEAD') continue;
        assert.match(text, PENDING);
        for (const shown of ['Ada Lovelace', invitation.organizationId, 'Admin', 'Member']) assert.ok(text.includes(shown), shown);
      }
      assert.deepEqual(await get(invitation.id), invitation);
    });

    test('the button makes the member and leads into the application', async () => {
      const { id, organizationId } = await invite();
      const [cookie = ''] = (await see(id)).headers.getSetCookie();
      assert.match(cookie, /; HttpOnly; SameSite=Strict$/);
      const { status, headers } = await press(id, { cookie: cookie.split(';')[0]! });
      assert.deepEqual([status, headers.get('location')], [303, `/organizations/${organizationId}`]);
      const accepted = await get(id);
      assert.deepEqual([accepted.status, accepted.acceptedUserId], ['Accepted', 'ada']);
      const again = { invitee: 'ada@example.com', organizationId, expiresAt: Date.now() + WEEK };
      const refusal = await api('POST', '', again);
      assert.deepEqual([refusal.status, refusal.body.code], [422, 'request.invalid_input'], 'Ada is not a member');
    });

    test('of two clicks at once both lead into the application', async () => {
      const { id, organizationId } = await invite();
      for (const { status, headers, text } of await Promise.all([press(id), press(id)])) {
        assert.ok([200, 303].includes(status), String(status));
        assert.ok((headers.get('location') ?? text).includes(`/organizations/${organizationId}`));
      }
      assert.equal((await get(id)).status, 'Accepted');
    });

    test('an invitation that cannot be accepted has a page that says so, and stays as it is', async () => {
      const [accepted, expired, revoked, other] = await Promise.all([
        invite(), invite({ expiresAt: Date.now() + 2500 }), invite(), invite({ invitee: "o'grace@example.com" }),
      ]);
      await api('PUT', `/${accepted.id}/status`, { status: 'Accepted', acceptedUserId: 'ada' });
      await api('PUT', `/${revoked.id}/status`, { status: 'Revoked' });
      while ((await get(expired.id)).status !== 'Expired') await sleep(100);
      for (const [{ id }, expectedStatus, title] of [
        [accepted, 200, 'You have accepted this invitation'],
        [expired, 410, 'This invitation has expired'],
        [revoked, 410, 'This invitation has been revoked'],
        [other, 403, 'This invitation is for another address'],
        [{ id: '0'.repeat(21) }, 404, 'There is no such invitation'],
        [{ id: '..%2f..%2fapi' }, 404, 'There is no such invitation'],
      ] as const) {
        const earlier = await get(id);
        for (const { status, text } of [await see(id), await press(id)]) {
          assert.equal(status, expectedStatus, title);
          assert.ok(text.includes(`<h1>${title}</h1>`), text);
          assert.doesNotMatch(text, /<button>|grace/);
        }
        assert.deepEqual(await get(id), earlier);
      }
    });

    test('a request of another site is refused', async () => {
      const { id } = await invite();
      for (const [reason, headers] of [
        ['another origin', { origin: 'https://evil.example' }],
        ['an origin that begins like ours', { origin: `${origin}.evil.example` }],
        ['an origin that the browser hides', { origin: 'null' }],
        ['no origin', { origin: '' }],
        ['no cookie', { cookie: '' }],
        ['a cookie that only looks like ours', { cookie: 'xinvitation=shown' }],
      ] as [string, Record<string, string>][]) {
        const { status, text } = await press(id, headers);
        assert.equal(status, 403, reason);
        assert.doesNotMatch(text, PENDING);
      }
      assert.equal((await visit(`/invitations/${id}`, { method: 'PUT' })).headers.get('allow'), 'GET, HEAD, POST');
      assert.equal((await get(id)).status, 'Pending');
    });

    test('hostile names are text', async () => {
      const role = newId();
      const inviterId = `"'><i>${newId()}`;
      const organizationId = `<img src=x ${newId()}>`;
      await put(`ROLE#${role}`, { name: '</li><script>alert(1)</script>&amp;' });
      await put(`USER#${inviterId}`, { name: 'Eve' });
      const { id } = await invite({ inviterId, organizationId, organizationRoleIds: [role] });
      const { status, text } = await see(id);
      assert.equal(status, 200);
      assert.doesNotMatch(text, /<i>|<img|<script/);
      assert.ok(text.includes('&#60;/li&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#38;amp;'));
      const { headers } = await press(id);
      assert.equal(headers.get('location'), `/organizations/${encodeURIComponent(organizationId)}`);
      assert.doesNotMatch((await see(id)).text, /<img/);
      assert.doesNotMatch((await visit('/"><b>')).text, /<b>/);
    });

    test('whoever is not signed in signs in first', async () => {
      const { id } = await invite();
      const { origin: at, stop } = await start({ CLIENT, DEV_USER_ID: '' });
      for (const { status, headers } of [await see(id, at), await press(id, {}, at)]) {
        assert.deepEqual([status, headers.get('location')], [303, `/sign-in?return_to=%2Finvitations%2F${id}`]);
      }
      stop();
      assert.equal((await get(id)).status, 'Pending');
    });

    test('a user who is not in the directory yet is told so', async () => {
      const { id } = await invite();
      const { origin: at, stop } = await start({ CLIENT, DEV_USER_ID: 'nobody' });
      const { status, text } = await press(id, {}, at);
      stop();
      assert.equal(status, 409);
      assert.match(text, /<h1>Your account is not ready<\/h1>/);
      assert.equal((await get(id)).status, 'Pending');
    });

    test('failures of the API are a page without their reason', async () => {
      const { id } = await invite();
      for (const settings of [{ API_URL: 'http://127.0.0.1:9' }, { TOKEN_PARAMETERS: 'scope=none' }] as Record<string, string>[]) {
        const { origin: at, stop } = await start({ CLIENT, TOKEN_URL: `${apiUrl}/oidc/token`, ...settings });
        const { status, headers, text } = await see(id, at);
        stop();
        assert.deepEqual([status, headers.get('retry-after')], [503, '60']);
        assert.doesNotMatch(text, /ECONNREFUSED|forbidden|server\.js/);
      }
    });
  });
}

test('a token is used until it is about to expire', async () => {
  const [token, now] = [await accessToken(), Date.now()];
  await sleep(1100);
  assert.equal(await accessToken(now + 3_500_000), token);
  assert.notEqual(await accessToken(now + 3_600_000), token);
});
