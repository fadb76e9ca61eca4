// An OpenID provider (the package oidc-provider) whose users sign in with any password.
// Arguments: the directory of its packages, a port of 127.0.0.1, and a client's id and secret.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [directory, port, clientId, clientSecret] = process.argv.slice(2);
const resolve = createRequire(`${directory}/`).resolve;
const { default: Provider } = await import(pathToFileURL(resolve('oidc-provider')));

const MAIL = 'urn:ietf:params:oauth:scope:mail';
const scopes = ['openid', 'email', 'offline_access', MAIL, 'mail.read'];
const audience = 'https://jmap.example.test';

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    redirect_uris: [],
    response_types: [],
    grant_types: [],
  }],
  scopes,
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: true }),
  }),
  extraTokenClaims: (_, token) => ({ email: token.accountId }),
  issueRefreshToken: () => true,
  // As issuers do that are older than RFC 9068.
  formats: {
    customizers: {
      jwt: (_, token, parts) => {
        if (token.resourceServer.identifier().endsWith('/old')) {
          parts.header = { typ: 'JWT' };
        }
      },
    },
  },
  pkce: { methods: ['S256'], required: () => true },
  features: {
    devInteractions: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_, resource) => ({
        scope: scopes.join(' '),
        audience,
        accessTokenFormat: resource.endsWith('/opaque') ? 'opaque' : 'jwt',
      }),
    },
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
