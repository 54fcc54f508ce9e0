// Tests the pages of `cargo dev` in a browser: their functions, and their accessibility with axe, in light and dark mode,
// on a desktop and on a phone. Argument: the URL of a `cargo dev` with an empty inbox.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { baseUrl, check, DESKTOP, inbox, invite, launch, LOOKS, open as openAt, PHONE, run, setStatus } from './driver.js';

const NAVIGATION = ['/invitations', '/inbox', '/docs'];
const browser = await launch();
const open = (options) => openAt(browser, [new URL(baseUrl).origin], options);

// An application at another origin, and the sign-in page that leads to it.
const application = createServer((_, response) => response.end('<!doctype html><link rel="icon" href="data:,">Welcome'));
await new Promise((resolve) => application.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${application.address().port}`;
const signIn = `/oidc/auth?${new URLSearchParams({
  response_type: 'code',
  client_id: 'acme',
  redirect_uri: `${origin}/callback`,
  state: 's 1',
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  code_challenge_method: 'S256',
})}`;

// The text of an element that exists once.
const text = (page, selector) => page.locator(selector).textContent();

const tests = {
  async 'a command is copied, and its mail appears without a reload'() {
    const page = await open({ viewport: DESKTOP, permissions: ['clipboard-read', 'clipboard-write'] });
    for (const path of ['/invitations', '/invitations?tenant=no-mail', '/inbox']) {
      await page.goto(path);
      const command = await text(page, '.command code');
      assert.match(command, /^(curl|cargo dev token)/);
      await page.getByRole('button', { name: 'Copy' }).click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command, path);
    }
    assert.equal(await page.title(), 'Inbox · Organization invitations');
    assert.ok(!(await page.locator('.tools').isVisible()), 'an empty inbox has no search');
    await invite('grace@example.com');
    await page.getByRole('link', { name: 'grace@example.com' }).waitFor();
    assert.equal(await page.title(), '(1) Inbox · Organization invitations');
    assert.ok(await page.locator('.tools').isVisible());
    await invite('alan@example.com');
    await page.waitForFunction(() => document.title.startsWith('(2)'));
    assert.equal(await text(page, '.count'), '2 mails');
    return page;
  },

  async 'an opened mail is marked as read'() {
    const page = await open({ viewport: DESKTOP });
    await page.goto('/inbox');
    await page.getByRole('link', { name: /Unread: grace/ }).click();
    await page.waitForURL('**/inbox/*');
    await page.goBack();
    await page.waitForFunction(() => document.title.startsWith('(1)'));
    assert.equal(await page.locator('.unread').count(), 1);
    assert.match(await text(page, '.unread'), /alan@example.com/);
    return page;
  },

  async 'a search finds mail while the person types'() {
    const page = await open({ viewport: DESKTOP });
    await page.goto('/inbox');
    const field = page.getByRole('searchbox', { name: 'Search the mail' });
    await field.pressSequentially('GRACE');
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
    assert.match(await text(page, '.row'), /grace@example.com/);
    assert.equal(new URL(page.url()).search, '?search=GRACE');
    assert.ok(await field.evaluate((element) => element === document.activeElement), 'the field keeps the focus');
    await field.fill('nobody');
    await page.getByRole('heading', { name: 'No mail contains “nobody”' }).waitFor();
    await field.fill('');
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 2);
    assert.equal(new URL(page.url()).search, '');
    return page;
  },

  async 'a mail can be shown narrow, and its source saved as a file'() {
    const page = await open({ viewport: DESKTOP });
    await page.goto(`/inbox/${(await inbox())[0].id}`);
    const frame = page.locator('iframe');
    const size = () => frame.evaluate(({ clientWidth, clientHeight }) => [clientWidth, clientHeight]);
    const [wide, low] = await size();
    await page.getByText('Phone', { exact: true }).click();
    const [narrow, high] = await size();
    assert.ok(wide > 600 && narrow <= 390 && high > low, `${wide} by ${low}, ${narrow} by ${high}`);
    await page.getByText('Desktop', { exact: true }).click();
    assert.deepEqual(await size(), [wide, low]);
    await page.getByText('Source', { exact: true }).click();
    const source = await text(page, '.source pre');
    assert.match(source, /^(?:.+\r?\n)*Content-Type: multipart\/alternative/);
    assert.ok(!(await frame.isVisible()));
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Save as a file' }).click(),
    ]);
    assert.match(download.suggestedFilename(), /\.eml$/);
    const saved = await readFile(await download.path(), 'utf8');
    assert.equal(saved.replaceAll('\r\n', '\n'), source.replaceAll('\r\n', '\n'));
    return page;
  },

  async 'dates are short on a phone'() {
    const [wide, narrow] = [await open({ viewport: DESKTOP }), await open({ viewport: PHONE })];
    const expiry = async (page) => {
      await page.goto('/invitations');
      return page.locator('.invitation time').nth(1).textContent();
    };
    const [long, short] = [await expiry(wide), await expiry(narrow)];
    assert.match(long, /^\d+ [A-Z][a-z]+ \d{4}, \d+:\d+:\d+$/);
    assert.match(short, /^\d+\/\d+\/\d{4}, \d+:\d+$/);
    await narrow.setViewportSize(DESKTOP);
    await narrow.waitForFunction((long) => document.querySelectorAll('.invitation time')[1].textContent === long, long);
    await wide.context().close();
    return narrow;
  },

  async 'the links of the reference lead to its sections'() {
    const page = await open({ viewport: DESKTOP });
    await page.goto('/inbox');
    await page.getByRole('link', { name: 'API reference' }).click();
    await page.getByRole('link', { name: /Create an invitation/ }).click();
    assert.equal(new URL(page.url()).hash, '#createOrganizationInvitation');
    const section = page.locator('#createOrganizationInvitation');
    assert.ok(await section.evaluate((element) => Math.abs(element.getBoundingClientRect().top) < 100), 'the page scrolls to the section');
    await section.getByRole('link', { name: 'MessagePayload' }).first().click();
    assert.equal(new URL(page.url()).hash, '#schema-MessagePayload');
    return page;
  },

  async 'a person signs in, with and without scripts, and is redirected to another origin with a code'() {
    for (const javaScriptEnabled of [true, false]) {
      const page = await open({ viewport: PHONE, javaScriptEnabled });
      await page.goto(signIn);
      const field = page.getByLabel('Email address');
      assert.ok(await field.evaluate((element) => element === document.activeElement), 'the field has the focus');
      await field.fill('grace@example');
      await page.keyboard.press('Enter');
      assert.match(await page.getByRole('alert').textContent(), /not an email address/);
      assert.equal(await field.inputValue(), 'grace@example');
      await field.fill('grace@example.com');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL(`${origin}/callback?**`);
      const parameters = new URL(page.url()).searchParams;
      assert.match(parameters.get('code'), /^[\w-]{43}$/);
      assert.equal(parameters.get('state'), 's 1');
      // The only request to another origin is this one.
      assert.deepEqual(page.problems, [`a request to ${page.url()}`]);
      await page.context().close();
    }
  },

  async 'axe finds no violations, and no page is wider than its window'() {
    const [mail] = await inbox();
    const revoked = await invite('linus@example.com', false);
    await setStatus(revoked.id, { status: 'Revoked' });
    const paths = [
      '/invitations',
      '/invitations?tenant=no-mail',
      '/invitations?tenant=%3Cb%3E',
      '/inbox',
      '/inbox?search=nobody',
      `/inbox?invitation=${revoked.id}`,
      '/inbox/unknown',
      ...['html', 'text', 'headers', 'source'].map((part) => `/inbox/${mail.id}#${part}`),
      '/docs',
      signIn,
      '/oidc/auth?client_id=acme',
    ];
    for (const look of LOOKS) {
      const [colorScheme, viewport] = look;
      const page = await open({ colorScheme, viewport });
      for (const path of paths) {
        await page.goto(path);
        const part = path.split('#')[1];
        if (part) await page.locator(`[for=show-${part}]`).click();
        if (NAVIGATION.includes(path)) {
          const current = page.locator('nav[aria-label=Pages] [aria-current=page]');
          assert.equal(await current.getAttribute('href'), path);
        }
        await check(page, path, look);
      }
      await page.goto('about:blank');
      await page.setContent(mail.html);
      await check(page, 'the mail', look, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] });
      assert.deepEqual(page.problems, []);
      await page.context().close();
    }
  },

  async 'mail is found and cleared without scripts'() {
    const page = await open({ viewport: PHONE, javaScriptEnabled: false });
    await page.goto('/inbox');
    await page.getByRole('searchbox').fill('alan');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/inbox?search=alan');
    assert.equal(await page.locator('.row').count(), 1);
    assert.ok(!(await page.locator('.copy').first().isVisible()));
    await page.getByRole('button', { name: 'Clear the inbox' }).click();
    await page.waitForURL('**/inbox');
    assert.equal(await page.locator('.row').count(), 0);
    return page;
  },

  async 'a cleared inbox is also empty in another tab'() {
    await invite('barbara@example.com');
    const [page, other] = [await open({ viewport: DESKTOP }), await open({ viewport: DESKTOP })];
    await other.goto('/inbox');
    await page.goto('/inbox');
    await page.getByRole('button', { name: 'Clear the inbox' }).click();
    await page.getByRole('heading', { name: 'No mail yet' }).waitFor();
    await other.getByRole('heading', { name: 'No mail yet' }).waitFor();
    assert.equal(await other.title(), 'Inbox · Organization invitations');
    assert.ok(await other.getByRole('button', { name: 'Copy' }).isVisible());
    assert.ok(!(await other.locator('.tools').isVisible()));
    await other.context().close();
    return page;
  },
};

await run(browser, tests);
application.close();
