"""Design §2, §12: the keys of how users sign in.

Sections raise ValueError when their keys contradict each other.
"""

# ruff: noqa: RUF009 -- key() is dataclasses.field() with a description

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config.kinds import BOOLEAN, Kind, choice, integer, key, list_of, optional, text
from gateway.config.values import IssuerUrl, Secret

Check = Literal["signature", "introspection", "userinfo", "server"]
TokenSignIn = Literal["token", "master"]

_CHECK: Kind[Check] = choice("signature", "introspection", "userinfo", "server")
_SIGN_IN: Kind[TokenSignIn] = choice("token", "master")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """Logins."""

    passwords: bool = key(
        BOOLEAN, "Let users sign in with the passwords that the mail server knows.", True
    )
    cache_seconds: int = key(
        integer(0, 300),
        "Seconds for which a password or token that was accepted is not checked again.",
        300,
    )
    failures_per_minute: int = key(
        integer(1),
        "Failed logins a minute of one user from one network, before more are refused.",
        10,
    )
    failures_per_day: int = key(
        integer(1), "Failed logins a day of one user from one network, before more are refused.", 50
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthConfig:
    """Access tokens of an authorization server (OAuth 2, OpenID Connect), where one is named."""

    issuer: IssuerUrl | None = key(
        optional(text(IssuerUrl.parse)),
        "The issuer identifier of the authorization server. Left out, there are no access tokens.",
        None,
        example="https://login.example.org",
    )
    check: Check = key(
        _CHECK,
        "How a token is checked: signature (it is a JWT, and the issuer publishes its keys), "
        "introspection (the issuer is asked, RFC 7662), or by the mail server alone, where "
        "userinfo (the issuer is asked) or server (it is a JWT, which says so) only tell whose it "
        "is.",
        "signature",
    )
    audience: tuple[str, ...] | None = key(
        optional(list_of(str)),
        "What tokens are meant for, as their aud says: any of these. For signature it must be "
        "there.",
        None,
        example=("https://jmap.example.org",),
    )
    username_claim: str = key(
        text(str),
        "The claim that has the name of the user at the mail server. It must be one that users can "
        "not change themselves.",
        "email",
    )
    scopes: tuple[str, ...] = key(
        list_of(str),
        "Scopes that let a client do everything, any of them. Left empty, together with "
        "read_scopes, every token does.",
        ("urn:ietf:params:oauth:scope:mail",),
    )
    read_scopes: tuple[str, ...] = key(
        list_of(str), "Scopes that let a client read and change nothing, any of them.", ()
    )
    sign_in: TokenSignIn = key(
        _SIGN_IN,
        "How the mail servers are signed in to: token (by OAUTHBEARER or XOAUTH2) or master (as "
        "imap.master_user, for the user).",
        "token",
    )
    client_id: str | None = key(
        optional(text(str)),
        "By what the gateway is known to the issuer, for introspection.",
        None,
        example="jmap-gateway",
    )
    client_secret: Secret | None = key(
        optional(text(Secret, secret=True)),
        "The secret of that client.",
        None,
        example="(a secret)",
    )
    ca_file: Path | None = key(
        optional(text(Path)),
        "Certificate authorities (PEM) to trust instead of the system's.",
        None,
        example="/etc/ssl/certs/login-ca.pem",
    )

    def __post_init__(self) -> None:
        if self.issuer is None:
            return
        is_client = self.client_id is not None and self.client_secret is not None
        if self.check == "introspection" and not is_client:
            raise ValueError(
                "oauth.check: introspection needs oauth.client_id and oauth.client_secret"
            )
        if self.sign_in == "master" and self.check not in ("signature", "introspection"):
            raise ValueError(f"oauth.sign_in: master needs more of a check than {self.check}")
        if not self.audience and (self.check == "signature" or self.sign_in == "master"):
            raise ValueError("oauth.audience: missing; tokens for others would do, too")
