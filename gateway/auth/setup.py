"""Design §12: the ways to sign in that the configuration names, put together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gateway.auth.basic import Basic
from gateway.auth.bearer import Bearer
from gateway.auth.oauth.claims import TokenCheck
from gateway.auth.oauth.introspection import IntrospectedTokens
from gateway.auth.oauth.issuer import Issuer
from gateway.auth.oauth.judged import NamedByItself, NamedByUserinfo
from gateway.auth.oauth.signed import SignedTokens
from gateway.auth.scheme import Scheme
from gateway.config import Config, OAuthConfig
from gateway.sasl import AnyCredentials, Master, TokenCredentials


def schemes(config: Config, issuer: Issuer | None, master: Master | None) -> Iterator[Scheme]:
    """Those that users may use."""
    if config.auth.passwords:
        yield Basic()
    if issuer is not None:
        oauth = config.oauth
        credentials = partial(_credentials, master if oauth.sign_in == "master" else None)
        yield Bearer(_check(oauth, issuer), credentials, oauth.scopes, oauth.read_scopes)


def _credentials(master: Master | None, username: str, token: str) -> AnyCredentials:
    """What the mail server is asked with for a user whose token was checked."""
    if master is None:
        return TokenCredentials(username, token)
    return master.acting_for(username)


def _check(oauth: OAuthConfig, issuer: Issuer) -> TokenCheck:
    audience = oauth.audience or ()
    match oauth.check:
        case "signature":
            return SignedTokens(issuer, audience, oauth.username_claim)
        case "introspection":
            secret = oauth.client_secret.reveal() if oauth.client_secret is not None else ""
            client = oauth.client_id or "", secret
            return IntrospectedTokens(issuer, client, audience, oauth.username_claim)
        case "userinfo":
            return NamedByUserinfo(issuer, oauth.username_claim)
        case "server":
            return NamedByItself(oauth.username_claim)
