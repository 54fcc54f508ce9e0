// What is yours. The origins of the API and of the issuer are in the Content-Security-Policy of index.html too.
export const settings = {
  api: 'http://127.0.0.1:3000',
  issuer: 'http://127.0.0.1:3000/oidc',
  clientId: 'accept-browser-only',
  // For both endpoints of the issuer, so that the token is one for the API. Auth0 has `audience` in place of `resource`.
  parameters: { scope: 'openid email', resource: 'https://default.logto.app/api' },
  // The address at which a new member of the organization begins.
  home: (organizationId) => `https://app.example.com/organizations/${encodeURIComponent(organizationId)}`,
};
