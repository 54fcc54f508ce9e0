// Tests the pages of examples/accept in a browser, as a mail scanner, as the invited person and as other people. Arguments:
// the URLs of `cargo dev`, of the page of browser-only, and of with-backend.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { baseUrl, check, DESKTOP, get, getRow, inbox, invite, launch, LOOKS, open as openAt, putRow, request, run, setStatus } from './driver.js';

const [browserOnly, withBackend] = process.argv.slice(3);
const LINK = { link: `${browserOnly}/#invitation={invitationId}` };
const LINK_WITH_TOKEN = { link: `${withBackend}/invitations/{invitationId}?token={invitationToken}` };
const MY_INVITATIONS = '/api/my-account/organization-invitations';
const browser = await launch();
const open = (options = { viewport: DESKTOP }) => openAt(browser, [browserOnly, withBackend, new URL(baseUrl).origin], options);

const newId = () => randomUUID().slice(0, 8);
const newPerson = () => `grace-${newId()}@example.com`;

const newOrganization = async (name) => {
  const id = `org-${newId()}`;
  await putRow(`ORGANIZATION#${id}`, { name });
  return id;
};

// The link of the newest mail to an invitee.
const linkOf = async (invitee) => {
  const { text } = (await inbox()).find(({ to }) => to === invitee);
  return /http:\/\/127\.0\.0\.1:\d+\/\S+/.exec(text)[0];
};

// Opens a link like a program that follows redirects and sends the cookies that it receives.
const scan = async (link) => {
  const { status, headers } = await fetch(link, { redirect: 'manual' });
  if (status !== 303) return assert.equal(status, 200);
  const cookie = headers.getSetCookie()[0].split(';')[0];
  assert.equal((await fetch(new URL(headers.get('location'), link), { headers: { cookie } })).status, 200);
};

// Clicks the link or button to the issuer, and signs in with the issuer's form.
const signIn = async (page, email, link = page.getByRole('button', { name: 'Sign in' })) => {
  await link.click();
  await page.waitForURL(`${new URL(baseUrl).origin}/**`);
  await page.getByRole('textbox').fill(email);
  await page.getByRole('button').click();
};

const organizations = (page) => page.locator('h2').allTextContents();
const card = (page, name) => page.getByRole('article', { name });

// Waits for the message at the end of an action.
const waitForMessage = async (page, text) => {
  await page.locator('#message', { hasText: text }).waitFor();
  assert.ok(await page.locator('#message').evaluate((element) => element === document.activeElement), 'the message has the focus');
};

// Removes the expected console errors from the page's problems.
const expectErrors = (page, pattern) => {
  assert.ok(page.problems.length, 'no error in the console');
  for (const problem of page.problems.splice(0)) assert.match(String(problem), pattern);
};

// Opens the link, signs in, and returns the page and the token with which the page calls the API.
const arrive = async (link, email) => {
  const page = await open();
  page.on('dialog', (dialog) => dialog.accept());
  await page.goto(link);
  const call = page.waitForRequest((request) => request.method() === 'GET' && request.url().includes(MY_INVITATIONS));
  await signIn(page, email);
  const { authorization } = await (await call).allHeaders();
  await page.getByRole('button', { name: 'Use another account' }).waitFor();
  return { page, authorization };
};

const claimsOf = (authorization) => JSON.parse(Buffer.from(authorization.split('.')[1], 'base64url').toString());

const tests = {
  async 'browser-only: a scanner that opens the link changes nothing, and makes no request'() {
    const invitee = newPerson();
    const invitation = await invite(invitee, LINK);
    const link = await linkOf(invitee);
    await scan(link);
    await scan(link);
    const page = await openAt(browser, [browserOnly], { viewport: DESKTOP });
    for (const _ of ['once', 'twice']) {
      await page.goto(link);
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      await page.reload();
    }
    assert.deepEqual(await get(invitation.id), invitation);
    return page;
  },

  async 'browser-only: the person sees who invites to what, signs in, accepts, and is a member'() {
    const invitee = newPerson();
    const { id } = await invite(invitee, LINK);
    const organizationId = await newOrganization('Analytical Engines');
    await invite(invitee, false, { organizationId });
    const link = await linkOf(invitee);
    const { page, authorization } = await arrive(link, invitee.toUpperCase().replace('EXAMPLE.COM', 'example.com'));
    assert.equal(page.url(), link, 'the code is removed from the address');
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.equal(kept, '[{},{},""]');
    assert.deepEqual(await organizations(page), ['Acme Corporation', 'Analytical Engines'], 'the invitation of the link is first');
    assert.match(await card(page, 'Acme Corporation').textContent(), /ada invites you to join Acme Corporation\..*Member/);

    let calls = 0;
    page.on('request', (request) => (calls += Number(request.method() === 'PUT')));
    await card(page, 'Acme Corporation').getByRole('button', { name: 'Accept' }).dblclick();
    await waitForMessage(page, 'You are a member of Acme Corporation.');
    assert.equal(calls, 1, 'two clicks make one call');
    const next = await page.getByRole('link', { name: 'Continue' }).getAttribute('href');
    assert.equal(next, 'https://app.example.com/organizations/acme');
    assert.deepEqual(await organizations(page), ['Analytical Engines']);
    const { sub } = claimsOf(authorization);
    const { status, acceptedUserId } = await get(id);
    assert.deepEqual([status, acceptedUserId], ['Accepted', sub]);
    assert.ok(await getRow(`MEMBER#acme#${sub}`), 'the member has no row');
    assert.equal(await getRow(`MEMBER#${organizationId}#${sub}`), undefined);
    return page;
  },

  async 'browser-only: an invitation is declined'() {
    const invitee = newPerson();
    const { id } = await invite(invitee, LINK);
    const { page, authorization } = await arrive(await linkOf(invitee), invitee);
    await card(page, 'Acme Corporation').getByRole('button', { name: 'Decline' }).click();
    await waitForMessage(page, 'You have declined the invitation to Acme Corporation.');
    assert.deepEqual(await organizations(page), []);
    assert.equal((await get(id)).status, 'Revoked');
    assert.equal(await getRow(`MEMBER#acme#${claimsOf(authorization).sub}`), undefined);
    return page;
  },

  async 'browser-only: a person with another address sees nothing, gets 404, and can use another account'() {
    const invitee = newPerson();
    const invitation = await invite(invitee, LINK);
    const { page, authorization } = await arrive(await linkOf(invitee), `eve-${newId()}@example.com`);
    assert.deepEqual(await organizations(page), []);
    await page.getByText('The invitation of your link is for another address, or it is not pending any more.').waitFor();
    await page.getByText('There is no pending invitation').waitFor();
    assert.ok(!(await page.content()).includes('Acme'));
    for (const status of ['Accepted', 'Revoked']) {
      const response = await request('PUT', `${MY_INVITATIONS}/${invitation.id}/status`, { status }, authorization);
      assert.deepEqual([response.status, (await response.json()).code], [404, 'entity.not_found']);
    }
    assert.deepEqual(await (await request('GET', MY_INVITATIONS, undefined, authorization)).json(), []);
    assert.deepEqual(await get(invitation.id), invitation);
    await signIn(page, invitee, page.getByRole('button', { name: 'Use another account' }));
    await card(page, 'Acme Corporation').waitFor();
    return page;
  },

  async 'browser-only: an invitation that ends while it is shown is not accepted'() {
    const invitee = newPerson();
    const { id } = await invite(invitee, LINK);
    const { page } = await arrive(await linkOf(invitee), invitee);
    await setStatus(id, { status: 'Revoked' });
    await card(page, 'Acme Corporation').getByRole('button', { name: 'Accept' }).click();
    await waitForMessage(page, 'This invitation was not pending any more.');
    assert.deepEqual(await organizations(page), []);
    expectErrors(page, /status of 4(04|22)/);
    return page;
  },

  async 'browser-only: the invitation of another link opened in the same tab is shown first'() {
    const invitee = newPerson();
    const { id } = await invite(invitee, LINK);
    await invite(invitee, false, { organizationId: await newOrganization('Analytical Engines') });
    const { page } = await arrive(browserOnly, invitee);
    assert.deepEqual(await organizations(page), ['Analytical Engines', 'Acme Corporation']);
    await page.goto(`${browserOnly}/#invitation=${id}`);
    await page.locator('article').first().filter({ hasText: 'Acme Corporation' }).waitFor();
    return page;
  },

  async 'browser-only: without a connection nothing changes, and the person can retry'() {
    const invitee = newPerson();
    const { id } = await invite(invitee, LINK);
    const { page } = await arrive(await linkOf(invitee), invitee);
    const accept = card(page, 'Acme Corporation').getByRole('button', { name: 'Accept' });
    await page.context().setOffline(true);
    await accept.click();
    await waitForMessage(page, 'Something went wrong. Try again in a few minutes.');
    expectErrors(page, /ERR_INTERNET_DISCONNECTED|Failed to fetch/);
    await page.context().setOffline(false);
    assert.equal((await get(id)).status, 'Pending');
    await accept.click();
    await waitForMessage(page, 'You are a member of Acme Corporation.');
    return page;
  },

  async 'browser-only: a person whose sign-in has ended, or has no verified address, signs in again'() {
    const [ended, unverified] = ['Your sign-in has ended.', 'This account cannot be used here. It needs a verified address.'];
    for (const [text, arrange] of [
      [ended, (page) => page.clock.setFixedTime(Date.now() + 3_600_000)],
      // The API rejects a program's token with 403.
      [unverified, (page) =>
        page.route(`**${MY_INVITATIONS}/**`, (route, request) =>
          route.continue({ headers: { ...request.headers(), authorization: `Bearer ${process.env.ACCESS_TOKEN}` } }))],
    ]) {
      const invitee = newPerson();
      const { id } = await invite(invitee, LINK);
      const { page } = await arrive(await linkOf(invitee), invitee);
      await arrange(page);
      await card(page, 'Acme Corporation').getByRole('button', { name: 'Accept' }).click();
      await waitForMessage(page, text);
      expectErrors(page, new RegExp(`status of 403|${text}`));
      assert.equal((await get(id)).status, 'Pending');
      await signIn(page, invitee);
      await card(page, 'Acme Corporation').waitFor();
      assert.deepEqual(page.problems, []);
      await page.context().close();
    }
  },

  async 'browser-only: a redirect from the issuer that this browser did not request is rejected'() {
    const page = await open();
    for (const answer of ['code=any&state=any', 'error=access_denied&state=any']) {
      await page.goto(`${browserOnly}/?${answer}`);
      await waitForMessage(page, 'The sign-in did not succeed.');
      assert.equal(page.url(), `${browserOnly}/`);
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      expectErrors(page, /the answer is for another sign-in/);
    }
    return page;
  },

  async 'browser-only: a name with HTML is shown as text'() {
    const invitee = newPerson();
    const name = '<img src=x onerror=alert(1)><b>Bold</b>';
    await invite(invitee, false, { organizationId: await newOrganization(name) });
    const { page } = await arrive(browserOnly, invitee);
    assert.deepEqual(await organizations(page), [name]);
    assert.equal(await page.locator('img, b').count(), 0);
    return page;
  },

  async 'with-backend: a scanner that opens the link changes nothing, and the token leaves the address'() {
    const invitee = newPerson();
    const invitation = await invite(invitee, LINK_WITH_TOKEN);
    const link = await linkOf(invitee);
    await scan(link);
    await scan(link);
    const page = await open();
    for (const _ of ['once', 'twice']) {
      await page.goto(link);
      assert.equal(page.url(), `${withBackend}/invitations/${invitation.id}`);
      await page.getByText('Ada Lovelace invites you to join Acme Corporation.').waitFor();
      assert.equal(await page.getByRole('button').count(), 0);
    }
    assert.deepEqual(await get(invitation.id), invitation);
    return page;
  },

  async 'with-backend: the person sees who invites to what, signs in with another address, accepts, and is a member'() {
    const invitee = newPerson();
    const organizationId = await newOrganization('Analytical Engines');
    const { id } = await invite(invitee, LINK_WITH_TOKEN, { organizationId });
    const link = await linkOf(invitee);
    const page = await open();
    await page.goto(link);
    await page.getByText(`Ada Lovelace invites you to join ${organizationId}.`).waitFor();
    await signIn(page, 'ada@example.com', page.getByRole('link', { name: 'Sign in to accept the invitation' }));
    await page.getByText('You are signed in as ada@example.com.').waitFor();
    await page.getByRole('button', { name: 'Accept the invitation' }).click();
    await page.waitForURL(`${withBackend}/organizations/${organizationId}`);
    const { status, acceptedUserId } = await get(id);
    assert.deepEqual([status, acceptedUserId], ['Accepted', 'ada']);
    assert.ok(await getRow(`MEMBER#${organizationId}#ada`), 'the member has no row');
    await page.goto(link);
    await page.getByRole('heading', { name: 'You have accepted this invitation' }).waitFor();
    return page;
  },

  async 'with-backend: the link of another person shows the invitation, but nothing without its token'() {
    const invitee = newPerson();
    const { id } = await invite(invitee, LINK_WITH_TOKEN);
    const page = await open();
    for (const path of [`/invitations/${id}`, `/invitations/${id}?token=${'A'.repeat(43)}`]) {
      await page.goto(withBackend + path);
      await page.getByRole('heading', { name: 'This link is not valid' }).waitFor();
      assert.ok(!(await page.content()).includes('Acme'));
    }
    return page;
  },

  async 'axe finds no violations, and no page is wider than its window'() {
    for (const look of LOOKS) {
      const invitee = newPerson();
      await invite(invitee, LINK);
      await invite(invitee, LINK_WITH_TOKEN, { organizationId: await newOrganization('Analytical Engines') });
      const token = await linkOf(invitee);
      const [colorScheme, viewport] = look;
      const page = await open({ colorScheme, viewport });
      await page.goto(`${browserOnly}/#invitation=none`);
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      await check(page, 'browser-only, before the sign-in', look);
      await signIn(page, invitee);
      await card(page, 'Acme Corporation').waitFor();
      await check(page, 'browser-only, the list', look);
      await card(page, 'Acme Corporation').getByRole('button', { name: 'Accept' }).click();
      await waitForMessage(page, 'You are a member');
      await check(page, 'browser-only, after the accept', look);

      await page.goto(token);
      await check(page, 'with-backend, before the sign-in', look);
      await signIn(page, 'ada@example.com', page.getByRole('link', { name: 'Sign in to accept the invitation' }));
      await page.getByRole('button', { name: 'Accept the invitation' }).waitFor();
      await check(page, 'with-backend, the question', look);
      await page.goto(`${withBackend}/invitations/none`);
      await check(page, 'with-backend, no invitation', look);
      assert.deepEqual(page.problems, []);
      await page.context().close();
    }
  },
};

await run(browser, tests);
