"""RFC 4422: what users sign in with, and how it is said in SASL mechanisms.

It is one message of the client; what a server asks after that can only mean that it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1


@dataclass(frozen=True, slots=True)
class Plain:
    """RFC 4616 PLAIN: a user and the password, any Unicode but NUL.

    authzid: the user to act for, where that is another one than who signs in (a master user).
    Raises ValueError for what the mechanism can not carry.
    """

    name: ClassVar[str] = "PLAIN"

    username: str
    password: str = field(repr=False)
    authzid: str = ""

    def __post_init__(self) -> None:
        if "\0" in self.authzid + self.username + self.password:
            raise ValueError("NUL separates the parts of SASL PLAIN")
        _ = self.initial

    @property
    def initial(self) -> bytes:
        """The message, before it is put into base64."""
        return _octets(f"{self.authzid}\0{self.username}\0{self.password}")

    def answer(self, _challenge: bytes) -> bytes | None:
        """What is answered to a challenge after the message: nothing, the exchange is given up."""
        return None


@dataclass(frozen=True, slots=True)
class OAuthBearer:
    """RFC 7628 OAUTHBEARER: an access token for the user, to the server at host and port.

    Raises ValueError for what is no bearer token, and for names the mechanism can not carry.
    """

    name: ClassVar[str] = "OAUTHBEARER"

    username: str
    token: str = field(repr=False)
    host: str
    port: int

    def __post_init__(self) -> None:
        _check_bearer(self.username + self.host, self.token)
        _ = self.initial

    @property
    def initial(self) -> bytes:
        """The message, before it is put into base64."""
        user = self.username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 §4 saslname
        return _octets(
            f"n,a={user},\1host={self.host}\1port={self.port}\1auth=Bearer {self.token}\1\1"
        )

    def answer(self, _challenge: bytes) -> bytes | None:
        """RFC 7628 §3.2.3: what a server says of an error is acknowledged."""
        return b"\1"


@dataclass(frozen=True, slots=True)
class XOAuth2:
    """XOAUTH2, which came before RFC 7628 (Gmail, Exchange): an access token for the user.

    Raises ValueError for what is no bearer token, and for names the mechanism can not carry.
    """

    name: ClassVar[str] = "XOAUTH2"

    username: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_bearer(self.username, self.token)
        _ = self.initial

    @property
    def initial(self) -> bytes:
        """The message, before it is put into base64."""
        return _octets(f"user={self.username}\1auth=Bearer {self.token}\1\1")

    def answer(self, _challenge: bytes) -> bytes | None:
        """What a server says of an error is acknowledged with nothing."""
        return b""


Mechanism: TypeAlias = Plain | OAuthBearer | XOAuth2
"""Who signs in, as it is said to a server."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and the password, any Unicode but NUL.

    master: whose password it is, where that is another user, who may act for this one.
    """

    username: str
    password: str = field(repr=False)
    master: str | None = None

    @property
    def is_of_user(self) -> bool:
        """Whether it is the user who signs in."""
        return self.master is None

    def mechanisms(self, _host: str, _port: int) -> tuple[Mechanism, ...]:
        """How to say it to a server there, the best first. Raises ValueError if that can not be."""
        if self.master is None:
            return (Plain(self.username, self.password),)
        return (Plain(self.master, self.password, authzid=self.username),)


@dataclass(frozen=True, slots=True)
class TokenCredentials:
    """A user and an access token (RFC 6750) that the servers know what to think of."""

    username: str
    token: str = field(repr=False)
    is_of_user: ClassVar[bool] = True

    def mechanisms(self, host: str, port: int) -> tuple[Mechanism, ...]:
        """How to say it to a server there, the best first. Raises ValueError if that can not be."""
        return OAuthBearer(self.username, self.token, host, port), XOAuth2(
            self.username, self.token
        )


AnyCredentials: TypeAlias = Credentials | TokenCredentials
"""What lets a user in."""


@dataclass(frozen=True, slots=True)
class Master:
    """A user of the mail server who may act for all others (RFC 4616 §2, authzid)."""

    name: str
    password: str = field(repr=False)

    def acting_for(self, username: str) -> Credentials:
        """What lets the master in as another user."""
        return Credentials(username, self.password, master=self.name)


class NotOffered(Exception):
    """The server has none of these mechanisms."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"the server does not offer {' or '.join(names)}")
        self.names = names


def best(credentials: AnyCredentials, offered: Collection[str], host: str, port: int) -> Mechanism:
    """What to say to the server there, which offers these mechanisms.

    Raises NotOffered, and ValueError for what no mechanism can carry.
    """
    said = credentials.mechanisms(host, port)
    for mechanism in said:
        if mechanism.name in offered:
            return mechanism
    raise NotOffered(tuple(mechanism.name for mechanism in said))


def _check_bearer(names: str, token: str) -> None:
    if "\0" in names or "\1" in names:
        raise ValueError("NUL and %x01 can not be in a name that goes with a bearer token")
    if not _TOKEN.fullmatch(token):
        raise ValueError("not a bearer token")


def _octets(message: str) -> bytes:
    try:
        return message.encode()
    except UnicodeEncodeError:  # tells what it could not encode, which may be a password
        raise ValueError("a lone surrogate can not be sent") from None
