// The page behind the mail's link. Mail scanners open links, so a GET changes nothing; the button sends a POST.
import { createServer, type IncomingMessage } from 'node:http';
import { homeUrl, organizationName, signedInUser, signInUrl, userName, type User } from './application.js';
import type { Invitation } from './invitations.js';
import { html, page, redirect, type Page } from './page.js';

const { invitations } = await (process.env.CLIENT === 'logto' ? import('./with-logto.js') : import('./with-fetch.js'));
const { origin, port, protocol } = new URL(process.env.APP_URL ?? 'http://127.0.0.1:4000');
const COOKIE = 'invitation=shown';
const SET_COOKIE = `${COOKIE}; Path=/invitations; HttpOnly; SameSite=Strict${protocol === 'https:' ? '; Secure' : ''}`;

async function answer(request: IncomingMessage): Promise<Page> {
  const { method = '', url = '' } = request;
  const id = /^\/invitations\/([^/?]+)/.exec(url)?.[1];
  if (!id) return page(404, 'Your application', html`<p>This example has no other page. Your application answers ${url}.`);
  if (!['GET', 'HEAD', 'POST'].includes(method)) return page(405, 'Not allowed', html``, { allow: 'GET, HEAD, POST' });
  if (method === 'POST' && !isFromOurPage(request)) {
    return page(403, 'Please try again', html`<p>Allow cookies, and open the link in the mail again.`);
  }
  const user = await signedInUser(request);
  if (!user) return redirect(signInUrl(`/invitations/${id}`));
  const invitation = await find(id);
  return verify(invitation, user) ?? (method === 'POST' ? accept(id, user) : question(invitation!));
}

/** Another site can send a POST too, but from its own origin, and without a cookie that is `SameSite=Strict`. */
const isFromOurPage = ({ headers }: IncomingMessage) =>
  headers.origin === origin && (headers.cookie ?? '').split('; ').includes(COOKIE);

async function find(id: string): Promise<Invitation | undefined> {
  const result = /^[0-9a-z]{21}$/.test(id) ? await invitations.get(id) : { code: 'entity.not_found' };
  if ('invitation' in result) return result.invitation;
  if (result.code !== 'entity.not_found') throw new Error(result.code);
}

/** The page for an invitation that the user cannot accept. Other people learn nothing about the invitation. */
function verify(invitation: Invitation | undefined, user: User): Page | undefined {
  const askAgain = html`<p>Ask the person who invited you for a new invitation.`;
  if (!invitation) return page(404, 'There is no such invitation', askAgain);
  if (invitation.invitee.toLowerCase() !== user.email.toLowerCase()) {
    const text = html`<p>You are signed in as ${user.email}. Sign in with the address that received the mail.`;
    return page(403, 'This invitation is for another address', text);
  }
  const home = html`<p><a href="${homeUrl(invitation.organizationId)}">Continue</a>`;
  if (invitation.status === 'Accepted') return page(200, 'You have accepted this invitation', home);
  const ended = { Pending: undefined, Expired: 'expired', Revoked: 'been revoked' }[invitation.status];
  return ended ? page(410, `This invitation has ${ended}`, askAgain) : undefined;
}

async function question({ inviterId, organizationId, organizationRoles, expiresAt }: Invitation): Promise<Page> {
  const organization = html`<bdi>${await organizationName(organizationId)}</bdi>`;
  const inviter = inviterId ? html`<bdi>${await userName(inviterId)}</bdi> invites you` : html`You are invited`;
  const roles = organizationRoles.map(({ name }) => html`<li><bdi>${name}</bdi>`);
  const content = html`<p>${inviter} to join ${organization}.${roles.length ? html` Roles:<ul>${roles}</ul>` : ''}
    <p>The invitation is valid until ${new Date(expiresAt).toUTCString()}.
    <form method="post"><button>Accept the invitation</button></form>`;
  return page(200, 'Invitation', content, { 'set-cookie': SET_COOKIE });
}

async function accept(id: string, user: User): Promise<Page> {
  const result = await invitations.accept(id, user.id);
  if ('invitation' in result) return redirect(homeUrl(result.invitation.organizationId));
  if (!['entity.not_found', 'request.invalid_input'].includes(result.code)) throw new Error(result.code);
  // Somebody was faster, or the directory does not have this user with this address.
  const text = html`<p>Try again in a minute. If this page stays, ask for help.`;
  return verify(await find(id), user) ?? page(409, 'Your account is not ready', text);
}

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  // Not `no-referrer`, with which browsers would hide the origin of the form's POST.
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

createServer(async (request, response) => {
  const { status, headers, body } = await answer(request).catch((error) => {
    console.error(error);
    return page(503, 'Something went wrong', html`<p>Try again in a few minutes.`, { 'retry-after': '60' });
  });
  response.writeHead(status, { ...HEADERS, ...headers }).end(body.text);
}).listen(Number(process.env.PORT || port || 4000), '127.0.0.1', () => console.log(`${origin}/invitations/{invitationId}`));
