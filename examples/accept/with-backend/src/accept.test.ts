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
const NOT_VALID = 'This link is not valid';
const WEEK = 7 * 86_400_000;

const newId = () => randomUUID().slice(0, 8);

async function dynamoDbCall(operation: string, input: object) {
  const response = await fetch(dynamoDb, {
    method: 'POST',
    headers: {
      'x-amz-target': `DynamoDB_20120810.${operation}`,
      'content-type': 'application/x-amz-json-1.0',
      // The emulator requires a signature, but does not verify it.
      authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
      'x-amz-date': '20260101T000000Z',
    },
    body: JSON.stringify({ TableName: TABLE_NAME, ...input }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

async function put(sk: string, attributes: Record<string, string>) {
  const item = Object.entries({ pk: 'TENANT#default', sk, ...attributes }).map(([key, value]) => [key, { S: value }]);
  await dynamoDbCall('PutItem', { Item: Object.fromEntries(item) });
}

/** Lets an invitation expire, as if its time had come. */
const expire = (id: string) =>
  dynamoDbCall('UpdateItem', {
    Key: { pk: { S: 'TENANT#default' }, sk: { S: `INVITATION#${id}` } },
    UpdateExpression: 'SET expiresAt = :past',
    ExpressionAttributeValues: { ':past': { N: String(Date.now() - 1) } },
  });

async function isMember(organizationId: string, userId: string): Promise<boolean> {
  const key = { pk: { S: 'TENANT#default' }, sk: { S: `MEMBER#${organizationId}#${userId}` } };
  return (await dynamoDbCall('GetItem', { Key: key, ConsistentRead: true })).Item !== undefined;
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

/** Invites somebody, or whom `more` names, to a new organization. */
async function invite(more: { organizationId?: string; [field: string]: unknown } = {}): Promise<any> {
  const organizationId = more.organizationId ?? `org-${newId()}`;
  await put(`ORGANIZATION#${organizationId}`, { name: 'A new organization' });
  const invitation = {
    inviterId: 'ada', invitee: `countess-${newId()}@example.com`, expiresAt: Date.now() + WEEK, organizationRoleIds: ['member'],
    messagePayload: { link: 'http://127.0.0.1/invitations/{invitationId}?utm_source=mail&token={invitationToken}' },
  };
  const { status, body } = await api('POST', '', { ...invitation, ...more, organizationId });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

/** The path of the link in the newest mail of an invitation. */
async function link(id: string): Promise<string> {
  const mails: { text: string }[] = await (await fetch(`${apiUrl}/inbox.json`)).json();
  for (const { text } of mails) {
    const [, path] = new RegExp(`http://127\\.0\\.0\\.1(/invitations/${id}\\S*)`).exec(text) ?? [];
    if (path) return path;
  }
  throw new Error(`no mail for ${id}`);
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
    let ada = '';
    before(async () => {
      ({ origin, stop } = await start({ CLIENT }));
      ada = await signIn('ada@example.com');
    });
    after(() => stop());

    async function visit(path: string, init: RequestInit = {}, at = origin) {
      const response = await fetch(at + path, { redirect: 'manual', ...init });
      const { status, headers } = response;
      const text = await response.text();
      const sent = JSON.stringify([...headers]) + text;
      assert.doesNotMatch(sent, /eyJhbGciOi|bearer/i, 'a token of an issuer has reached the browser');
      assert.match(headers.get('referrer-policy') ?? '', /^(same-origin|no-referrer)$/);
      assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/);
      return { status, headers, text, cookie: headers.getSetCookie()[0]?.split(';')[0] ?? '' };
    }

    /** Signs in with the issuer's form, as a browser does, and returns the cookie of the session. */
    async function signIn(email: string, at = origin): Promise<string> {
      const begun = await visit('/sign-in?return_to=%2Felsewhere', {}, at);
      const location = begun.headers.get('location') ?? '';
      const form = await (await fetch(location)).text();
      const fields = [...form.matchAll(/<input\b[^>]*>/g)].map(([input]) => {
        const attribute = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(input)?.[1]?.replaceAll('&amp;', '&') ?? '';
        return [attribute('name'), attribute('type') === 'hidden' ? attribute('value') : email];
      });
      const action = new URL(/<form\b[^>]*\baction="([^"]*)"/.exec(form)?.[1]?.replaceAll('&amp;', '&') ?? location, location);
      const body = new URLSearchParams(fields as [string, string][]);
      const isPost = /<form\b[^>]*\bmethod="?post/i.test(form);
      const sent = isPost ? fetch(action, { method: 'POST', body, redirect: 'manual' }) : fetch(`${action}?${body}`, { redirect: 'manual' });
      const callback = new URL((await sent).headers.get('location') ?? '');
      assert.equal(callback.origin, at);
      const ended = await visit(callback.pathname + callback.search, { headers: { cookie: begun.cookie } }, at);
      assert.deepEqual([ended.status, ended.headers.get('location')], [303, '/'], 'only a page of an invitation is led to');
      return ended.cookie;
    }

    /** Opens the link of the mail, and returns the cookie that holds its token. */
    async function open(id: string, at = origin): Promise<string> {
      const { status, headers, cookie } = await visit(await link(id), {}, at);
      assert.deepEqual([status, headers.get('location')], [303, `/invitations/${id}`]);
      return cookie;
    }
    const see = (id: string, cookies: string[], at?: string) =>
      visit(`/invitations/${id}`, { headers: { cookie: cookies.join('; ') } }, at);

    /** Presses the button, as a browser that has shown the page sends it. */
    const press = (id: string, cookies: string[], headers: Record<string, string> = {}, at = origin) =>
      visit(`/invitations/${id}`, { method: 'POST', headers: { origin: at, cookie: ['a=b', ...cookies].join('; '), ...headers } }, at);

    test('a scanner that opens the link changes nothing', async () => {
      const invitation = await invite({ organizationRoleIds: ['member', 'admin'] });
      const path = await link(invitation.id);
      for (const method of ['GET', 'GET', 'HEAD']) {
        const { cookie } = await visit(path, { method });
        const { status, text } = await visit(`/invitations/${invitation.id}`, { method, headers: { cookie } });
        assert.equal(status, 200);
        if (method === 'HEAD') continue;
        assert.doesNotMatch(text, PENDING);
        for (const shown of ['Ada Lovelace', invitation.organizationId, 'Admin', 'Member']) assert.ok(text.includes(shown), shown);
      }
      assert.deepEqual(await get(invitation.id), invitation);
    });

    test('the token leaves the address, and no referrer and no page has it', async () => {
      const { id } = await invite();
      const path = await link(id);
      const token = /token=([\w-]{43})$/.exec(path)?.[1] ?? assert.fail(path);
      const { headers } = await visit(path);
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
      const cookie = `invitation=${token}; Path=/invitations/${id}; HttpOnly; SameSite=Lax`;
      assert.deepEqual([headers.get('location'), headers.getSetCookie()], [`/invitations/${id}`, [cookie]]);
      const shown = await see(id, [`invitation=${token}`]);
      assert.ok(!(JSON.stringify([...shown.headers]) + shown.text).includes(token));
    });

    test('the button makes the member and leads into the application, although another address was invited', async () => {
      const { id, organizationId, invitee } = await invite();
      const token = await open(id);
      assert.equal(await isMember(organizationId, 'ada'), false);
      const { text } = await see(id, [ada, token]);
      assert.match(text, PENDING);
      assert.ok(text.includes('ada@example.com'));
      const { status, headers } = await press(id, [ada, token]);
      assert.deepEqual([status, headers.get('location')], [303, `/organizations/${organizationId}`]);
      const accepted = await get(id);
      assert.deepEqual([accepted.status, accepted.acceptedUserId], ['Accepted', 'ada']);
      assert.ok(await isMember(organizationId, 'ada'));
      const refusal = await api('POST', '', { invitee, organizationId, expiresAt: Date.now() + WEEK });
      assert.deepEqual([refusal.status, refusal.body.code], [422, 'request.invalid_input'], 'the address is not a member');
    });

    test('two concurrent clicks both lead to the application', async () => {
      const { id, organizationId } = await invite();
      const cookies = [ada, await open(id)];
      for (const { status, headers, text } of await Promise.all([press(id, cookies), press(id, cookies)])) {
        assert.ok([200, 303].includes(status), String(status));
        assert.ok((headers.get('location') ?? text).includes(`/organizations/${organizationId}`));
      }
      assert.equal((await get(id)).status, 'Accepted');
    });

    test('an invitation that cannot be accepted has a page that says so, and stays as it is', async () => {
      const mine = { invitee: 'Ada@example.com', messagePayload: false };
      const [accepted, expired, revoked, withoutToken, others, mailedAgain] = await Promise.all([
        invite(), invite(mine), invite(mine), invite(mine),
        invite({ invitee: `o'grace-${newId()}@example.com` }), invite(),
      ]);
      const [token, othersToken, older] = await Promise.all([open(accepted.id), open(others.id), open(mailedAgain.id)]);
      await press(accepted.id, [ada, token]);
      await api('PUT', `/${revoked.id}/status`, { status: 'Revoked' });
      await api('PUT', `/${others.id}/status`, { status: 'Revoked' });
      const again = { link: 'http://127.0.0.1/invitations/{invitationId}?token={invitationToken}' };
      assert.equal((await api('POST', `/${mailedAgain.id}/message`, again)).status, 204);
      await expire(expired.id);
      assert.equal((await get(expired.id)).status, 'Expired');
      for (const [{ id }, cookie, expectedStatus, title] of [
        [accepted, token, 200, 'You have accepted this invitation'],
        [expired, othersToken, 410, 'This invitation has expired'],
        [revoked, othersToken, 410, 'This invitation has been revoked'],
        [withoutToken, othersToken, 404, NOT_VALID],
        [others, othersToken, 404, NOT_VALID],
        [mailedAgain, older, 404, NOT_VALID],
        [{ id: '0'.repeat(21) }, token, 404, NOT_VALID],
        [{ id: '..%2f..%2fapi' }, token, 404, NOT_VALID],
      ] as const) {
        const earlier = await get(id);
        for (const { status, text } of [await see(id, [ada, cookie]), await press(id, [ada, cookie])]) {
          assert.equal(status, expectedStatus, title);
          assert.ok(text.includes(`<h1>${title}</h1>`), text);
          assert.doesNotMatch(text, /<button>|grace/);
        }
        assert.deepEqual(await get(id), earlier);
      }
      assert.equal((await see(mailedAgain.id, [ada, await open(mailedAgain.id)])).status, 200, 'the newer link');
    });

    test('without a token, or with a malformed one, a caller learns nothing', async () => {
      const { id } = await invite();
      const odd = await visit(`/invitations/${id}?token=${encodeURIComponent('a; Path=/')}`);
      assert.deepEqual([odd.status, odd.cookie], [404, '']);
      for (const { status, text } of [odd, await see(id, []), await see(id, [ada]), await see(id, [`invitation=${'A'.repeat(43)}`])]) {
        assert.equal(status, 404);
        assert.doesNotMatch(text, /Ada Lovelace|countess|org-/);
      }
    });

    test('a request from another site is rejected', async () => {
      const { id } = await invite();
      const token = await open(id);
      for (const [reason, headers] of [
        ['another origin', { origin: 'https://evil.example' }],
        ['an origin that begins like ours', { origin: `${origin}.evil.example` }],
        ['an origin that the browser hides', { origin: 'null' }],
        ['no origin', { origin: '' }],
        ['no cookie of the link', { cookie: ada }],
        ['a cookie that only looks like ours', { cookie: `${ada}; x${token}` }],
      ] as [string, Record<string, string>][]) {
        const { status, text } = await press(id, [ada, token], headers);
        assert.equal(status, 403, reason);
        assert.doesNotMatch(text, PENDING);
      }
      assert.equal((await visit(`/invitations/${id}`, { method: 'PUT' })).headers.get('allow'), 'GET, HEAD, POST');
      assert.equal((await get(id)).status, 'Pending');
    });

    test('names with HTML are shown as text', async () => {
      const role = newId();
      const inviterId = `"'><i>${newId()}`;
      const organizationId = `<img src=x ${newId()}>`;
      await put(`ROLE#${role}`, { name: '</li><script>alert(1)</script>&amp;' });
      await put(`USER#${inviterId}`, { name: 'Eve' });
      const { id } = await invite({ inviterId, organizationId, organizationRoleIds: [role] });
      const cookies = [ada, await open(id)];
      const { status, text } = await see(id, cookies);
      assert.equal(status, 200);
      assert.doesNotMatch(text, /<i>|<img|<script/);
      assert.ok(text.includes('&#60;/li&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#38;amp;'));
      const { headers } = await press(id, cookies);
      assert.equal(headers.get('location'), `/organizations/${encodeURIComponent(organizationId)}`);
      assert.doesNotMatch((await see(id, cookies)).text, /<img/);
      assert.doesNotMatch((await visit('/"><b>')).text, /<b>/);
    });

    test('a person who is not signed in sees the invitation, and must sign in first', async () => {
      const { id } = await invite();
      const token = await open(id);
      const signInUrl = `/sign-in?return_to=%2Finvitations%2F${id}`;
      assert.ok((await see(id, [token])).text.includes(`<a href="${signInUrl}">`));
      const { status, headers } = await press(id, [token]);
      assert.deepEqual([status, headers.get('location')], [303, signInUrl]);
      assert.equal((await get(id)).status, 'Pending');
    });

    test('a sign-in that another browser started is rejected', async () => {
      const [own, other] = [await visit('/sign-in'), await visit('/sign-in')];
      const state = new URL(other.headers.get('location') ?? '').searchParams.get('state');
      for (const headers of [{ cookie: own.cookie }, { cookie: '' }] as Record<string, string>[]) {
        const { status, cookie } = await visit(`/sign-in/callback?code=any&state=${state}`, { headers });
        assert.deepEqual([status, cookie], [400, '']);
      }
    });

    test('a user who is not in the directory yet gets a page that says so', async () => {
      const { id } = await invite();
      const nobody = await signIn(`nobody-${newId()}@example.com`);
      const { status, text } = await press(id, [nobody, await open(id)]);
      assert.equal(status, 409);
      assert.match(text, /<h1>Your account is not ready<\/h1>/);
      assert.equal((await get(id)).status, 'Pending');
    });

    test('a failure of the API is a page without the reason', async () => {
      const { id } = await invite();
      const token = await open(id);
      for (const settings of [{ API_URL: 'http://127.0.0.1:9' }, { TOKEN_PARAMETERS: 'scope=none' }] as Record<string, string>[]) {
        const { origin: at, stop } = await start({ CLIENT, TOKEN_URL: `${apiUrl}/oidc/token`, ...settings });
        const { status, headers, text } = await see(id, [token], at);
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
