// Shared by the programs of this directory: the browser, the checks of a page, and clients for the API and the table of
// `cargo dev`.
import assert from 'node:assert/strict';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

export const baseUrl = process.argv[2];
const token = process.env.ACCESS_TOKEN;

// Debian's Chromium. Its sandbox does not work as root. It resolves no host except this machine.
export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: process.getuid() !== 0,
    args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--disable-background-networking', '--disable-sync'],
  });

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
export const LOOKS = [['light', DESKTOP], ['dark', DESKTOP], ['light', PHONE]];

const opened = new Set();

// Opens a page. Its errors, and its requests to other origins than `origins`, are problems, which fail the test.
export const open = async (browser, origins, options) => {
  const context = await browser.newContext({ baseURL: origins[0], locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.problems = [];
  opened.add(page);
  page.on('close', () => opened.delete(page));
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => {
    // The browser logs an error for a page that is itself a 404.
    const isAnswer = message.text().startsWith('Failed to load resource') && message.location().url === page.url();
    if (message.type() === 'error' && !isAnswer) page.problems.push(message.text());
  });
  page.on('request', (request) => {
    if (!/^(data|about|blob):/.test(request.url()) && !origins.includes(new URL(request.url()).origin)) {
      page.problems.push(`a request to ${request.url()}`);
    }
  });
  return page;
};

// A mail runs no scripts, so axe cannot check its frame; mails are checked separately. In dark mode only colours differ.
const COLORS = { runOnly: ['color-contrast', 'link-in-text-block'] };
export const check = async (page, what, [colorScheme, { width }], rules = colorScheme === 'dark' ? COLORS : {}) => {
  // The driver injects axe, since a page's policy may forbid inline scripts.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate((rules) => axe.run({ iframes: false, ...rules }), rules);
  const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => ({ id, html, failureSummary })));
  const where = `${what}, ${colorScheme}, ${width} pixels wide`;
  page.problems.push(...found.map((violation) => ({ where, ...violation })));
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (content > window) page.problems.push(`${where}: ${content} pixels of content`);
};

// Runs the tests one after another, and closes the browser. A test returns its page if the page must have no problems.
export const run = async (browser, tests) => {
  try {
    for (const [name, test] of Object.entries(tests)) {
      const started = Date.now();
      try {
        const page = await test();
        assert.deepEqual(page?.problems ?? [], []);
        await page?.context().close();
      } catch (error) {
        const pages = [...opened].map((page) => ({ url: page.url(), problems: page.problems }));
        error.message = `${name}: ${error.message}\n${JSON.stringify(pages)}`;
        throw error;
      }
      console.log(`ok: ${name} (${Date.now() - started} ms)`);
    }
  } finally {
    await browser.close();
  }
};

// Calls the API with the management token, or with `token`.
export const request = (method, path, body, authorization = `Bearer ${token}`) =>
  fetch(new URL(path, baseUrl), {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

const call = async (method, path, body) => {
  const response = await request(method, `/api/organization-invitations${path}`, body);
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${text}`);
  return text && JSON.parse(text);
};

// Invites a person to the demo's organization, with mail unless `payload` is false.
export const invite = (invitee, payload = { link: 'https://app.example.com/invitations/{invitationId}' }, more = {}) =>
  call('POST', '', {
    invitee,
    inviterId: 'ada',
    organizationId: 'acme',
    organizationRoleIds: ['member'],
    expiresAt: Date.now() + 7 * 24 * 60 * 60 * 1000,
    messagePayload: payload,
    ...more,
  });

export const get = (id) => call('GET', `/${id}`);

export const setStatus = (id, body) => call('PUT', `/${id}/status`, body);

export const inbox = async () => (await fetch(new URL('/inbox.json', baseUrl))).json();

const dynamoDb = async (operation, input) => {
  const response = await fetch(process.env.AWS_ENDPOINT_URL_DYNAMODB, {
    method: 'POST',
    headers: {
      'x-amz-target': `DynamoDB_20120810.${operation}`,
      'content-type': 'application/x-amz-json-1.0',
      // The emulator requires a signature, but does not verify it.
      authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
      'x-amz-date': '20260101T000000Z',
    },
    body: JSON.stringify({ TableName: 'organization-invitations', ...input }),
  });
  const text = await response.text();
  assert.ok(response.ok, text);
  return JSON.parse(text);
};

// Writes a row whose attributes are strings.
export const putRow = (sk, attributes) => {
  const item = Object.entries({ pk: 'TENANT#default', sk, ...attributes }).map(([key, value]) => [key, { S: value }]);
  return dynamoDb('PutItem', { Item: Object.fromEntries(item) });
};

export const getRow = async (sk) =>
  (await dynamoDb('GetItem', { Key: { pk: { S: 'TENANT#default' }, sk: { S: sk } }, ConsistentRead: true })).Item;
