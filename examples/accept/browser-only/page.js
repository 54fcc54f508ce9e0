// Shows the pending invitations of whoever signs in, and accepts or declines them, with the person's own token. The token
// stays in memory: after a reload, the person signs in again.
import { settings } from './settings.js';
import { sessionOfIssuer, signIn, timeout } from './sign-in.js';

let session;
let invitations = [];
const content = document.querySelector('#content');
const message = document.querySelector('#message');

/** An element. Strings among its children are text, never HTML. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function button(text, action, attributes) {
  const made = element('button', { type: 'button', ...attributes }, text);
  made.addEventListener('click', () => run(action));
  return made;
}

/** Shows the outcome of an action, and moves the focus there: the button that was pressed may be gone. */
function say(...parts) {
  message.replaceChildren(...parts);
  message.focus();
}

/** The API does not take the person's token. */
class SignInAgain extends Error {}

/** Runs an action. Until it has ended, the page takes no other. */
async function run(action) {
  content.inert = true;
  try {
    await action();
  } catch (error) {
    console.error(error);
    const isSignedOut = error instanceof SignInAgain;
    if (isSignedOut || !content.hasChildNodes()) askForSignIn(isSignedOut ? { prompt: 'login' } : {});
    say(isSignedOut ? error.message : 'Something went wrong. Try again in a few minutes.');
  } finally {
    content.inert = false;
  }
}

/** Calls the API. The response is a success, or says that the invitation is not one of the person's pending ones. */
async function call(path = '', method = 'GET', body = undefined) {
  // API Gateway's own 401 has no headers for CORS: a page sees no status of it.
  if (Date.now() >= session.expiresAt) throw new SignInAgain('Your sign-in has ended.');
  const response = await fetch(`${settings.api}/api/my-account/organization-invitations${path}`, {
    method,
    headers: { authorization: `Bearer ${session.token}`, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
    signal: timeout(),
  });
  const { ok, status } = response;
  if (status === 403) throw new SignInAgain('This account cannot be used here. It needs a verified address.');
  if (!ok && (method === 'GET' || ![404, 422].includes(status))) throw new Error(`the API answered ${status}`);
  return response;
}

/** Asks for a sign-in. Only the person's click leads to the issuer, so that a scanner of mails stays here. */
function askForSignIn(parameters) {
  session = undefined;
  const text = element('p', {}, 'Sign in with the address that received the mail to see who invites you to what.');
  content.replaceChildren(text, button('Sign in', () => signIn(parameters)));
}

const otherAccount = () => button('Use another account', () => signIn({ prompt: 'login' }), { class: 'quiet' });

/** Shows the invitations, that of the mail's link first. */
function show() {
  const linked = new URLSearchParams(location.hash.slice(1)).get('invitation');
  const isLinked = ({ id }) => id === linked;
  const sorted = [...invitations.filter(isLinked), ...invitations.filter((invitation) => !isLinked(invitation))];
  const none = element('p', {}, 'There is no pending invitation for the address of your account.');
  const missing = element('p', {}, 'The invitation of your link is for another address, or it is not pending any more.');
  content.replaceChildren(
    ...(linked && !invitations.some(isLinked) ? [missing] : []),
    ...(sorted.length ? sorted.map(card) : [none]),
    otherAccount(),
  );
}

function card({ id, inviterId, organization, organizationRoles, expiresAt }) {
  const heading = `organization-${id}`;
  const name = element('bdi', {}, organization.name);
  const inviter = inviterId ? [element('bdi', {}, inviterId), ' invites you'] : ['You are invited'];
  const roles = organizationRoles.map((role) => element('li', {}, element('bdi', {}, role.name)));
  const until = new Date(expiresAt).toLocaleString([], { dateStyle: 'long', timeStyle: 'short' });
  return element('article', { 'aria-labelledby': heading },
    element('h2', { id: heading }, name),
    element('p', {}, ...inviter, ' to join ', name.cloneNode(true), '.', ...(roles.length ? [' Roles:'] : [])),
    ...(roles.length ? [element('ul', {}, ...roles)] : []),
    element('p', {}, 'Valid until ', element('time', { datetime: new Date(expiresAt).toISOString() }, until), '.'),
    button('Accept', () => end(id, 'Accepted', organization), { 'aria-describedby': heading }),
    button('Decline', () => decline(id, organization), { 'aria-describedby': heading, class: 'quiet' }));
}

async function decline(id, organization) {
  if (confirm(`Decline the invitation to ${organization.name}? Only a new invitation undoes it.`)) await end(id, 'Revoked', organization);
}

async function end(id, status, organization) {
  const { ok } = await call(`/${id}/status`, 'PUT', { status });
  // Not asked for again: lists are eventually consistent.
  invitations = invitations.filter((invitation) => invitation.id !== id);
  if (location.hash.includes(id)) history.replaceState(null, '', location.pathname);
  show();
  const name = element('bdi', {}, organization.name);
  if (!ok) say('This invitation was not pending any more.');
  else if (status === 'Revoked') say('You have declined the invitation to ', name, '.');
  else say('You are a member of ', name, '. ', element('a', { href: settings.home(organization.id) }, 'Continue'));
}

async function list() {
  invitations = await (await call()).json();
  show();
}

async function start() {
  try {
    session = await sessionOfIssuer();
  } catch (error) {
    console.error(error);
    say('The sign-in did not succeed.');
  }
  return session ? list() : askForSignIn();
}

// The link of another mail, opened in the same tab, changes the fragment only.
addEventListener('hashchange', () => session && run(list));
await run(start);
