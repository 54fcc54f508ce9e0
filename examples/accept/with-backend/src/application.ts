// The parts that your application has already. Replace the body of each function.
import type { IncomingMessage } from 'node:http';
import { personOf } from './sign-in.js';

/** A user of the directory. `email` is the verified address of the account; it need not be the one that was invited. */
export interface User { id: string; email: string | undefined }

/** REPLACE: users from your database, by their address. */
const users = new Map([['ada@example.com', 'ada']]);

/** REPLACE: the user whose session the request carries; `undefined` if nobody is signed in. */
export async function signedInUser(request: IncomingMessage): Promise<User | undefined> {
  if (process.env.NODE_ENV === 'production') throw new Error('signedInUser() is still that of the example');
  const person = personOf(request);
  return person && { id: users.get(person.email ?? '') ?? person.sub, email: person.email };
}

/** REPLACE: the address that signs a person in, or up, and then leads to `path`. */
export const signInUrl = (path: string) => `/sign-in?return_to=${encodeURIComponent(path)}`;

/** REPLACE: the address at which a new member of the organization begins. */
export const homeUrl = (organizationId: string) => `/organizations/${encodeURIComponent(organizationId)}`;

/** REPLACE: names from your database. Of names, an invitation has those of its roles only. */
const names = new Map([['acme', 'Acme Corporation'], ['ada', 'Ada Lovelace']]);
export const organizationName = async (id: string) => names.get(id) ?? id;
export const userName = async (id: string) => names.get(id) ?? id;
