"""Design §2: the keys of how the mail servers are reached, and who is whom there.

Sections raise ValueError when their keys contradict each other.
"""

# ruff: noqa: RUF009 -- key() is dataclasses.field() with a description

from __future__ import annotations

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
from gateway.config.values import ImapUrl, Secret, ServerUrl, SieveUrl, SmtpUrl, is_loopback

SignIn = Literal["user", "master", "relay", "none"]

_SIGN_IN: Kind[SignIn] = choice("user", "master", "relay", "none")


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
        optional(text(Secret, secret=True)),
        "The password of the master user.",
        None,
        example="(a password)",
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
        "user (as the user who sends), master (as imap.master_user, for the user who sends), relay "
        "(as relay_user, for all users), or none.",
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
        example=("{login}", "{local}@example.net"),
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


def _check_server(section: str, url: ServerUrl, allow_insecure: bool, ca_file: Path | None) -> None:
    if url.security == "plain" and not (allow_insecure or is_loopback(url.host)):
        raise ValueError(
            f"{section}.url: {url} would send passwords in plain text to another machine; "
            f"use {url.plain}s:// or {url.plain}+starttls://, or set {section}.allow_insecure"
        )
    if ca_file is not None and not ca_file.is_file():
        raise ValueError(f"{section}.ca_file: {ca_file} is not a file")
