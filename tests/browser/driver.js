// What the tests of the pages and the pictures share: the browser, and a client of the API of `cargo dev`.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

export const baseUrl = process.argv[2];
const token = process.env.ACCESS_TOKEN;

// Debian's Chromium. Its sandbox wants another user than root. It finds no host but this machine.
export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: process.getuid() !== 0,
    args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--disable-background-networking', '--disable-sync'],
  });

const call = async (method, path, body) => {
  const response = await fetch(new URL(`/api/organization-invitations${path}`, baseUrl), {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${text}`);
  return text && JSON.parse(text);
};

// Invites somebody to the demo's organization, by mail unless `payload` is false.
export const invite = (invitee, payload = { link: 'https://app.example.com/invitations/{invitationId}' }) =>
  call('POST', '', {
    invitee,
    inviterId: 'ada',
    organizationId: 'acme',
    organizationRoleIds: ['member'],
    expiresAt: Date.now() + 7 * 24 * 60 * 60 * 1000,
    messagePayload: payload,
  });

export const setStatus = (id, body) => call('PUT', `/${id}/status`, body);

export const inbox = async () => (await fetch(new URL('/inbox.json', baseUrl))).json();
