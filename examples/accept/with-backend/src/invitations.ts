export interface Invitation {
  inviterId: string | null;
  invitee: string;
  acceptedUserId: string | null;
  organizationId: string;
  status: 'Pending' | 'Accepted' | 'Expired' | 'Revoked';
  expiresAt: number;
  organizationRoles: { name: string }[];
}

/** The invitation, or the `code` of the API's error. */
export type Result = { invitation: Invitation } | { code: string };

/** The operations of the page. All throw if the API cannot be reached or does not answer in JSON. */
export interface Invitations {
  get(id: string): Promise<Result>;
  /** The invitation, if it is pending and `token` is that of its newest mail. Changes nothing. */
  verify(id: string, token: string): Promise<Result>;
  accept(id: string, userId: string, token: string): Promise<Result>;
}

export const apiUrl = process.env.API_URL ?? 'http://127.0.0.1:3000';
export const timeout = () => AbortSignal.timeout(10_000);
