"""Design §2: every key of the configuration, declared here and nowhere else.

Sections raise ValueError when their keys contradict each other.
"""

# ruff: noqa: RUF009 -- key() is dataclasses.field() with a description

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config.kinds import (
    BOOLEAN,
    Kind,
    choice,
    integer,
    key,
    list_of,
    optional,
    seconds,
    text,
)
from gateway.config.values import (
    Address,
    ImapUrl,
    Network,
    Origin,
    PublicUrl,
    Secret,
    SecretKey,
    SecretKeys,
    ServerUrl,
    SieveUrl,
    SmtpUrl,
    StoreUrl,
    is_loopback,
)

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]
SignIn = Literal["user", "relay", "none"]

_SENDABLE = re.compile(r"[!-~]+")  # in a header field, and in a list separated by blanks


def _contact(text: str) -> str:
    if not text.startswith(("mailto:", "https:")) or not _SENDABLE.fullmatch(text):
        raise ValueError("expected a mailto: or https: URL")
    return text


_LEVEL: Kind[Level] = choice("debug", "info", "warning", "error")
_FORMAT: Kind[Format] = choice("json", "console")
_SIGN_IN: Kind[SignIn] = choice("user", "relay", "none")


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
class ImapConfig:
    """The mail server, and how much of it one user may take."""

    url: ImapUrl = key(
        text(ImapUrl.parse),
        "imaps://HOST[:PORT], imap+starttls://HOST[:PORT], or imap://HOST[:PORT] (plain text).",
        flag="--imap",
        example="imaps://imap.example.org",
    )
    allow_insecure: bool = key(
        BOOLEAN,
        "Allow imap:// to another machine: passwords and mail cross the network unprotected.",
        False,
    )
    ca_file: Path | None = key(
        optional(text(Path)),
        "Certificate authorities (PEM) to trust instead of the system's.",
        None,
        example="/etc/ssl/certs/mail-ca.pem",
    )
    connections_per_account: int = key(
        integer(1, 3), "The most connections one active user takes.", 2
    )
    logins_per_second: int = key(
        integer(1), "The most logins in a second, of all users together.", 50
    )
    connect_timeout: float = key(
        seconds(300), "Seconds for connecting, TLS and the greeting together.", 10.0
    )
    command_timeout: float = key(
        seconds(3600), "Seconds of silence after which a running command is given up.", 30.0
    )
    idle_seconds: float = key(
        seconds(1740), "Seconds after which an unused connection is closed.", 60.0
    )
    master_user: str | None = key(
        optional(text(str)),
        "A user of the mail server who may act for all others (SASL PLAIN with an authorization "
        "identity; Dovecot: a master user). By it the gateway looks for the mail of users who want "
        "pushes and are away.",
        None,
        example="jmap-gateway",
    )
    master_password: Secret | None = key(
        optional(text(Secret, secret=True)), "The password of the master user.", None
    )

    def __post_init__(self) -> None:
        _check_server("imap", self.url, self.allow_insecure, self.ca_file)
        if (self.master_user is None) != (self.master_password is None):
            raise ValueError("imap.master_user: it goes with imap.master_password")


@dataclass(frozen=True, slots=True, kw_only=True)
class SieveConfig:
    """Where the users' Sieve scripts are (ManageSieve, RFC 5804), vacation responses among them."""

    url: SieveUrl | None = key(
        optional(text(SieveUrl.parse)),
        "sieves://HOST[:PORT], sieve+starttls://HOST[:PORT], or sieve://HOST[:PORT] (plain text). "
        "Left out, there is none.",
        None,
        flag="--sieve",
        example="sieve+starttls://imap.example.org",
    )
    allow_insecure: bool = key(
        BOOLEAN,
        "Allow sieve:// to another machine: passwords and scripts cross the network unprotected.",
        False,
    )
    ca_file: Path | None = key(
        optional(text(Path)),
        "Certificate authorities (PEM) to trust instead of the system's.",
        None,
        example="/etc/ssl/certs/mail-ca.pem",
    )
    connect_timeout: float = key(
        seconds(300), "Seconds for connecting, TLS and the capabilities together.", 10.0
    )
    command_timeout: float = key(
        seconds(300), "Seconds after which a command without an answer is given up.", 30.0
    )

    def __post_init__(self) -> None:
        if self.url is not None:
            _check_server("sieve", self.url, self.allow_insecure, self.ca_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConfig:
    """The submission server (RFC 6409), by which users send; without it, they only read."""

    url: SmtpUrl | None = key(
        optional(text(SmtpUrl.parse)),
        "smtps://HOST[:PORT], smtp+starttls://HOST[:PORT], or smtp://HOST[:PORT] (plain text). "
        "Left out, nothing can be sent.",
        None,
        flag="--smtp",
        example="smtps://smtp.example.org",
    )
    allow_insecure: bool = key(
        BOOLEAN,
        "Allow smtp:// to another machine: passwords and mail cross the network unprotected.",
        False,
    )
    ca_file: Path | None = key(
        optional(text(Path)),
        "Certificate authorities (PEM) to trust instead of the system's.",
        None,
        example="/etc/ssl/certs/mail-ca.pem",
    )
    sign_in: SignIn = key(
        _SIGN_IN,
        "user (as the user who sends), relay (as relay_user, for all users), or none.",
        "user",
    )
    relay_user: str | None = key(
        optional(text(str)),
        "The user of the relay.",
        None,
        example="jmap-gateway",
    )
    relay_password: Secret | None = key(
        optional(text(Secret, secret=True)),
        "The password of the relay's user.",
        None,
        example="(a password)",
    )
    connect_timeout: float = key(
        seconds(300), "Seconds for connecting, TLS and the greeting together.", 10.0
    )
    command_timeout: float = key(
        seconds(300), "Seconds after which a command without an answer is given up.", 60.0
    )
    data_timeout: float = key(
        seconds(1200),
        "Seconds for the answer to a message. Without one, nobody knows whether it was taken.",
        300.0,
    )

    def __post_init__(self) -> None:
        if self.url is not None:
            _check_server("smtp", self.url, self.allow_insecure, self.ca_file)
        if self.sign_in == "relay" and (self.relay_user is None or self.relay_password is None):
            raise ValueError("smtp.sign_in: relay needs smtp.relay_user and smtp.relay_password")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitiesConfig:
    """The addresses that users may send from."""

    addresses: tuple[str, ...] = key(
        list_of(str),
        "What makes an address of a login, with {login}, {local} and {domain} in it: the login, "
        "and what is before and after its @.",
        ("{login}",),
        example='["{login}", "{local}@example.net"]',
    )
    aliases: Path | None = key(
        optional(text(Path)),
        "A file of further addresses, in lines of LOGIN: ADDRESS, ADDRESS... with names where "
        "there are any; *@DOMAIN is all of a domain. It is read again when it changes.",
        None,
        example="/etc/jmap-gateway/aliases",
    )
    any_from: bool = key(
        BOOLEAN,
        "Let the From field of a message have addresses that are not the user's. The envelope "
        "never has.",
        False,
    )


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
class AuthConfig:
    """Logins. It is the mail server that knows the passwords."""

    cache_seconds: int = key(
        integer(0, 300),
        "Seconds for which a password that the mail server accepted is not checked again.",
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
    auth: AuthConfig
    cache: CacheConfig
    log: LogConfig


def _check_server(section: str, url: ServerUrl, allow_insecure: bool, ca_file: Path | None) -> None:
    if url.security == "plain" and not (allow_insecure or is_loopback(url.host)):
        raise ValueError(
            f"{section}.url: {url} would send passwords in plain text to another machine; "
            f"use {url.plain}s:// or {url.plain}+starttls://, or set {section}.allow_insecure"
        )
    if ca_file is not None and not ca_file.is_file():
        raise ValueError(f"{section}.ca_file: {ca_file} is not a file")
