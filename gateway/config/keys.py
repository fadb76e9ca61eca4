"""Design §2: every key of the configuration, declared here and in the modules it is made of.

Sections raise ValueError when their keys contradict each other.
"""

# ruff: noqa: RUF009 -- key() is dataclasses.field() with a description

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config.kinds import (
    Kind,
    choice,
    integer,
    key,
    list_of,
    optional,
    text,
)
from gateway.config.login_keys import AuthConfig, OAuthConfig
from gateway.config.mail_keys import IdentitiesConfig, ImapConfig, SieveConfig, SmtpConfig
from gateway.config.values import (
    Address,
    Network,
    Origin,
    PublicUrl,
    SecretKey,
    SecretKeys,
    StoreUrl,
)

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

_SENDABLE = re.compile(r"[!-~]+")  # in a header field, and in a list separated by blanks


def _contact(text: str) -> str:
    if not text.startswith(("mailto:", "https:")) or not _SENDABLE.fullmatch(text):
        raise ValueError("expected a mailto: or https: URL")
    return text


_LEVEL: Kind[Level] = choice("debug", "info", "warning", "error")
_FORMAT: Kind[Format] = choice("json", "console")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The HTTP service."""

    listen: Address = key(
        text(Address.parse),
        "Address and port of the JMAP service.",
        Address("127.0.0.1", 8080),
        flag="--listen",
    )
    admin_listen: Address = key(
        text(Address.parse),
        "Address and port of /healthz, /metrics and /events, which are not for the public.",
        Address("127.0.0.1", 8081),
    )
    public_url: PublicUrl | None = key(
        optional(text(PublicUrl.parse)),
        "The URL under which clients reach the service. Left out, the Host of each request says.",
        None,
        flag="--public-url",
        example="https://jmap.example.org",
    )
    cors_origins: tuple[Origin, ...] = key(
        list_of(Origin.parse),
        'Other web origins whose pages may use the service, such as "https://mail.example.org"; '
        '"*" is all of them.',
        (),
    )
    trusted_proxies: tuple[Network, ...] = key(
        list_of(Network.parse),
        'Networks, such as "10.0.0.0/8", of the proxies whose X-Forwarded-For is believed.',
        (),
    )
    data_dir: Path = key(
        text(Path),
        "The directory of what the gateway keeps on this machine. Left out, it is "
        "$STATE_DIRECTORY, else $XDG_STATE_HOME/jmap-gateway, else ~/.local/state/jmap-gateway.",
        example="/var/lib/jmap-gateway",
        derived=True,
    )

    def __post_init__(self) -> None:
        if self.listen == self.admin_listen and self.listen.port != 0:
            raise ValueError(f"server.admin_listen: {self.admin_listen} is server.listen already")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmimeConfig:
    """S/MIME signatures, which are verified where authorities are named (RFC 9219)."""

    authorities: Path | None = key(
        optional(text(Path)),
        "A file of the certificate authorities (PEM) whose word for who has signed is taken. Left "
        "out, signatures are not verified.",
        None,
        example="/etc/ssl/certs/ca-certificates.crt",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsConfig:
    """Changes that the mail server reports to server.admin_listen (see deploy/docs/dovecot.md)."""

    secret: SecretKey | None = key(
        optional(text(SecretKey.parse, secret=True)),
        "What the mail server has to know: 32 characters or more without blanks. Where it is set, "
        "the gateway takes the mail server's word for changes and holds no connection to learn of "
        "them.",
        None,
        example="(openssl rand -hex 32)",
    )

    def __post_init__(self) -> None:
        if self.secret is not None and not _SENDABLE.fullmatch(self.secret.reveal()):
            raise ValueError("events.secret: expected ASCII characters without blanks")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushConfig:
    """Web Push, where events.secret, imap.master_user or push.password_keys is set."""

    password_keys: SecretKeys | None = key(
        optional(text(SecretKeys.parse, secret=True)),
        "Keys of 32 characters or more, with blanks or line ends between them: passwords of users "
        "who want pushes are kept, encrypted with the first; the others open what is older. Left "
        "out, no password is kept.",
        None,
        example="(openssl rand -hex 32)",
    )
    contact: str | None = key(
        optional(text(_contact)),
        "A mailto: or https: URL by which push services reach the operator.",
        None,
        example="mailto:postmaster@example.org",
    )
    server_key: Path | None = key(
        optional(text(Path)),
        "The key (PEM, P-256) by which push services know this server. Left out, one is made, and "
        "kept in the store.",
        None,
        example="/etc/jmap-gateway/vapid.pem",
    )
    networks: tuple[Network, ...] = key(
        list_of(Network.parse),
        'Networks, such as "10.1.2.0/24", of push services inside, at any port. Pushes go nowhere '
        "else but to port 443 of public addresses.",
        (),
    )
    ca_file: Path | None = key(
        optional(text(Path)),
        "Certificate authorities (PEM) of push services to trust instead of the system's.",
        None,
        example="/etc/ssl/certs/push-ca.pem",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """What the gateway remembers of the mailboxes, to be built again from IMAP, and uploads."""

    url: StoreUrl | None = key(
        optional(text(StoreUrl.parse, secret=True)),
        "sqlite:///PATH/FILE.db, redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// (Redis over "
        "TLS), or memory://. Left out, it is store.db in the data directory.",
        None,
        flag="--store",
        example="redis://127.0.0.1:6379/0",
    )
    secret: SecretKey | None = key(
        optional(text(SecretKey.parse, secret=True)),
        "Key material that names and seals what is stored: 32 characters or more, the same on all "
        "nodes that share a store. Left out, it is made once and kept in the data directory.",
        None,
        example="(openssl rand -hex 32)",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadsConfig:
    """Files that clients have uploaded, which the store keeps for a day."""

    quota_bytes: int = key(
        integer(50_000_000),  # the largest upload, and all that one message may have attached
        "Octets of uploads kept for one user in one account; to make room, the oldest ones go.",
        500_000_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetsConfig:
    """How much one user may have of something; 0 is no limit."""

    messages_per_hour: int = key(integer(0), "Messages that a user sends.", 500)
    recipients_per_hour: int = key(
        integer(0), "Recipients of the messages that a user sends, all together.", 2000
    )
    uploads_per_hour: int = key(integer(0), "Files that a user uploads.", 5000)
    requests_per_minute: int = key(
        integer(0), "Requests of a user to one process, over HTTP and WebSocket.", 12_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """The memory of this process."""

    memory_bytes: int = key(
        integer(1024 * 1024), "Octets of account indexes kept in memory.", 256 * 1024 * 1024
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The log, on standard error."""

    level: Level = key(_LEVEL, "The least that is logged: debug, info, warning or error.", "info")
    format: Format = key(_FORMAT, "json (a line for each event) or console.", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything the operator decides."""

    server: ServerConfig
    imap: ImapConfig
    sieve: SieveConfig
    smtp: SmtpConfig
    identities: IdentitiesConfig
    smime: SmimeConfig
    events: EventsConfig
    push: PushConfig
    store: StoreConfig
    uploads: UploadsConfig
    budgets: BudgetsConfig
    auth: AuthConfig
    oauth: OAuthConfig
    cache: CacheConfig
    log: LogConfig

    def __post_init__(self) -> None:
        if self.oauth.issuer is None:
            if not self.auth.passwords:
                raise ValueError("auth.passwords: without oauth.issuer nobody could sign in")
            return
        if self.oauth.sign_in == "master":
            if self.imap.master_user is None:
                raise ValueError("oauth.sign_in: master needs imap.master_user")
            if self.smtp.url is not None and self.smtp.sign_in == "user":
                raise ValueError("smtp.sign_in: with oauth.sign_in, user has to be master")
