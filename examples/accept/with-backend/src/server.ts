// The page behind the mail's link. Mail scanners open links, so a GET changes nothing; the button sends a POST.
import { createServer, type IncomingMessage } from 'node:http';
import { homeUrl, organizationName, signedInUser, signInUrl, userName, type User } from './application.js';
import type { Invitation, Result } from './invitations.js';
import { cookie, html, HEADERS, page, redirect, setCookie, type Page } from './page.js';
import { beginSignIn, endSignIn } from './sign-in.js';

const { invitations } = await (process.env.CLIENT === 'logto' ? import('./with-logto.js') : import('./with-fetch.js'));
const { origin, port } = new URL(process.env.APP_URL ?? 'http://127.0.0.1:4000');

async function answer(request: IncomingMessage): Promise<Page> {
  const { method = '', url = '' } = request;
  const [path = '', query] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  if (path === '/sign-in') return beginSignIn(origin, parameters.get('return_to') ?? '/');
  if (path === '/sign-in/callback') return endSignIn(origin, request, parameters);
  const id = /^\/invitations\/([^/]+)$/.exec(path)?.[1];
  if (!id) return page(404, 'Your application', html`<p>This example has no other page. Your application answers ${url}.`);
  if (!['GET', 'HEAD', 'POST'].includes(method)) return page(405, 'Not allowed', html``, { allow: 'GET, HEAD, POST' });
  const token = parameters.get('token');
  if (token !== null && method !== 'POST') return keepToken(id, token);
  return invitation(request, id);
}

/** Moves the token from the address, which browsers show, store and pass on, into a cookie of this invitation's page. */
function keepToken(id: string, token: string): Page {
  if (!isId(id) || !/^[\w-]{43}$/.test(token)) return notValid();
  const path = `/invitations/${id}`;
  return redirect(path, { 'set-cookie': setCookie(origin, 'invitation', token, path), 'referrer-policy': 'no-referrer' });
}

const isId = (id: string) => /^[0-9a-z]{21}$/.test(id);

async function invitation(request: IncomingMessage, id: string): Promise<Page> {
  const { method, headers } = request;
  const token = cookie(headers.cookie, 'invitation');
  // Another site can send a POST too, but from its own origin, and without a cookie that is `SameSite=Lax`.
  if (method === 'POST' && !(headers.origin === origin && token)) {
    return page(403, 'Please try again', html`<p>Allow cookies, and open the link in the mail again.`);
  }
  const user = await signedInUser(request);
  if (method === 'POST' && !user) return redirect(signInUrl(`/invitations/${id}`));
  const pending = isId(id) && token ? found(await invitations.verify(id, token)) : undefined;
  if (!pending) return ended(id, user);
  return method === 'POST' && user ? accept(id, user, token!) : question(id, pending, user);
}

/** The invitation, or `undefined` if there is none for the caller. */
function found(result: Result): Invitation | undefined {
  if ('invitation' in result) return result.invitation;
  if (result.code !== 'entity.not_found') throw new Error(result.code);
}

const askAgain = html`<p>Ask the person who invited you for a new invitation.`;
const notValid = () =>
  page(404, 'This link is not valid', html`<p>Open the link in the newest mail: it replaces those before it. ${askAgain}`);

/** The page without a valid token. Only the user who accepted, or was invited, learns something about the invitation. */
async function ended(id: string, user: User | undefined): Promise<Page> {
  const invitation = user && isId(id) ? found(await invitations.get(id)) : undefined;
  if (!user || !invitation) return notValid();
  if (invitation.acceptedUserId === user.id) {
    return page(200, 'You have accepted this invitation', html`<p><a href="${homeUrl(invitation.organizationId)}">Continue</a>`);
  }
  const reason = { Pending: undefined, Accepted: undefined, Expired: 'expired', Revoked: 'been revoked' }[invitation.status];
  const isInvited = invitation.invitee.toLowerCase() === user.email?.toLowerCase();
  return reason && isInvited ? page(410, `This invitation has ${reason}`, askAgain) : notValid();
}

async function question(id: string, invitation: Invitation, user: User | undefined): Promise<Page> {
  const { inviterId, organizationId, organizationRoles, expiresAt } = invitation;
  const organization = html`<bdi>${await organizationName(organizationId)}</bdi>`;
  const inviter = inviterId ? html`<bdi>${await userName(inviterId)}</bdi> invites you` : html`You are invited`;
  const roles = organizationRoles.map(({ name }) => html`<li><bdi>${name}</bdi>`);
  const next = user
    ? html`<form method="post"><button>Accept the invitation</button></form>
      <p>You are signed in${user.email ? html` as <bdi>${user.email}</bdi>` : ''}.`
    : html`<p><a href="${signInUrl(`/invitations/${id}`)}">Sign in to accept the invitation</a>`;
  const content = html`<p>${inviter} to join ${organization}.${roles.length ? html` Roles:<ul>${roles}</ul>` : ''}
    <p>The invitation is valid until ${new Date(expiresAt).toUTCString()}. ${next}`;
  return page(200, 'Invitation', content);
}

async function accept(id: string, user: User, token: string): Promise<Page> {
  const result = await invitations.accept(id, user.id, token);
  if ('invitation' in result) return redirect(homeUrl(result.invitation.organizationId));
  if (!['entity.not_found', 'request.invalid_input'].includes(result.code)) throw new Error(result.code);
  // Somebody was faster, or the directory does not have this user.
  if (!found(await invitations.verify(id, token))) return ended(id, user);
  return page(409, 'Your account is not ready', html`<p>Try again in a minute. If this page stays, ask for help.`);
}

createServer(async (request, response) => {
  const { status, headers, body } = await answer(request).catch((error) => {
    console.error(error);
    return page(503, 'Something went wrong', html`<p>Try again in a few minutes.`, { 'retry-after': '60' });
  });
  response.writeHead(status, { ...HEADERS, ...headers }).end(body.text);
}).listen(Number(process.env.PORT || port || 4000), '127.0.0.1', () =>
  console.log(`${origin}/invitations/{invitationId}?token={invitationToken}`));
