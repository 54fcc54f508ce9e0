// The parts that your application has already. Replace the body of each function.
import type { IncomingMessage } from 'node:http';

/** A user of the directory. `email` must be verified, since whoever has the invitee's address may accept. */
export interface User { id: string; email: string }

/** REPLACE: the user whose session the request carries; `undefined` if nobody is signed in. Here, a fixed user. */
export async function signedInUser(_request: IncomingMessage): Promise<User | undefined> {
  if (process.env.NODE_ENV === 'production') throw new Error('signedInUser() is still that of the example');
  const { DEV_USER_ID: id = 'ada', DEV_USER_EMAIL: email = 'ada@example.com' } = process.env;
  return id ? { id, email } : undefined;
}

/** REPLACE: the address that signs a person in, or up, and then leads to `path`. */
export const signInUrl = (path: string) => `/sign-in?return_to=${encodeURIComponent(path)}`;

/** REPLACE: the address at which a new member of the organization begins. */
export const homeUrl = (organizationId: string) => `/organizations/${encodeURIComponent(organizationId)}`;

/** REPLACE: names from your database. Of names, an invitation has those of its roles only. */
const names = new Map([['acme', 'Acme Corporation'], ['ada', 'Ada Lovelace']]);
export const organizationName = async (id: string) => names.get(id) ?? id;
export const userName = async (id: string) => names.get(id) ?? id;
