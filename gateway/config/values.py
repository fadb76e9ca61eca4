"""Design §2: the values a key may have: addresses, URLs, networks, secrets.

Every `parse` takes the text as the operator wrote it and raises ValueError saying what was
expected; `str()` of a value is a text that parses to the same value, secrets excepted.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self
from urllib.parse import SplitResult, urlsplit

Security = Literal["plain", "starttls", "tls"]

MASK = "********"

_STORE_SCHEMES = ("sqlite", "redis", "rediss", "memory")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 takes any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `HOST:PORT`; an IPv6 address stands in brackets."""
        parts = _split("//" + text)
        if parts.netloc != text or parts.port is None or "@" in text:
            raise ValueError("expected HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080")
        return cls(_host(parts), parts.port)

    def __str__(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A server of a mail protocol and how the connection to it is protected."""

    plain: ClassVar[str]
    """The scheme without protection; that of implicit TLS has an s after it."""
    ports: ClassVar[Mapping[Security, int]]
    """Those that go without saying."""

    host: str
    port: int
    security: Security

    @classmethod
    def _schemes(cls) -> dict[str, Security]:
        return {f"{cls.plain}s": "tls", f"{cls.plain}+starttls": "starttls", cls.plain: "plain"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a URL of one of the three schemes, which has nothing but a host and a port."""
        parts = _split(text)
        schemes = cls._schemes()
        if parts.scheme not in schemes:
            tls, starttls, plain = (f"{scheme}://HOST" for scheme in schemes)
            raise ValueError(f"expected {tls}, {starttls} or {plain}")
        if "@" in parts.netloc:
            raise ValueError("no user name belongs here: users log in with their own")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("expected nothing after the host and port")
        security = schemes[parts.scheme]
        port = cls.ports[security] if parts.port is None else parts.port
        if port == 0:
            raise ValueError("expected a port from 1 to 65535")
        return cls(_host(parts), port, security)

    def __str__(self) -> str:
        scheme = next(name for name, kind in self._schemes().items() if kind == self.security)
        return f"{scheme}://{_bracketed(self.host)}:{self.port}"


class ImapUrl(ServerUrl):
    """`imap://`, `imap+starttls://` or `imaps://`."""

    __slots__ = ()
    plain = "imap"
    ports: ClassVar[Mapping[Security, int]] = {"plain": 143, "starttls": 143, "tls": 993}


class SieveUrl(ServerUrl):
    """`sieve://`, `sieve+starttls://` or `sieves://`: ManageSieve (RFC 5804)."""

    __slots__ = ()
    plain = "sieve"
    ports: ClassVar[Mapping[Security, int]] = {"plain": 4190, "starttls": 4190, "tls": 4190}


class SmtpUrl(ServerUrl):
    """`smtp://`, `smtp+starttls://` or `smtps://`: message submission (RFC 6409, RFC 8314)."""

    __slots__ = ()
    plain = "smtp"
    ports: ClassVar[Mapping[Security, int]] = {"plain": 587, "starttls": 587, "tls": 465}


class PublicUrl(str):
    """The URL under which clients reach the gateway, without a slash at the end."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From an absolute http(s) URL that may have a path, but no query."""
        parts = _split(text)
        if parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise ValueError("expected a URL like https://jmap.example.org")
        return cls(_origin(parts) + parts.path.rstrip("/"))


class IssuerUrl(str):
    """The identifier of an authorization server (RFC 8414 §2)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From an https URL without a query, or an http one of this machine."""
        parts = _split(text)
        is_here = parts.scheme == "http" and is_loopback(_host(parts))
        if not (parts.scheme == "https" or is_here) or parts.query or parts.fragment:
            raise ValueError("expected a URL like https://login.example.org")
        _origin(parts)
        return cls(text)


class Origin(str):
    """A web origin (RFC 6454 §6.1), or `*` for all of them."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what a browser sends: scheme, host and, unless it is the usual one, port."""
        if text == "*":
            return cls(text)
        parts = _split(text)
        if parts.scheme not in ("http", "https") or text.lower() != f"{parts.scheme}://" + (
            parts.netloc.lower()
        ):
            raise ValueError('expected an origin like https://mail.example.org, or "*"')
        return cls(_origin(parts))


@dataclass(frozen=True, slots=True)
class Network:
    """A block of IP addresses; `"192.0.2.7" in network` tells whether an address is in it."""

    block: ipaddress.IPv4Network | ipaddress.IPv6Network

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `192.0.2.0/24`, `2001:db8::/32` or a single address."""
        return cls(ipaddress.ip_network(text))

    def __contains__(self, address: str) -> bool:
        """Text that is no address is in no network; `::ffff:192.0.2.7` is 192.0.2.7."""
        try:
            return _address(address) in self.block
        except ValueError:
            return False

    def __str__(self) -> str:
        return str(self.block)


class Secret:
    """A text that neither `str`, `repr` nor `config show` gives away; `reveal()` does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str.__eq__(self._text, other.reveal())

    def __hash__(self) -> int:
        return hash(self._text)


class SecretKey(Secret):
    """Key material: any text of 32 characters or more."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the text; ValueError when it is too short to be a key."""
        if len(text) < 32:
            raise ValueError("expected 32 characters or more, as from `openssl rand -hex 32`")
        return cls(text)


class SecretKeys(Secret):
    """Several of these, with white space between them."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the text; ValueError when there is none, or one is too short."""
        if not text.split():
            raise ValueError("expected a key")
        if any(len(each) < 32 for each in text.split()):
            raise ValueError("expected 32 characters or more, as from `openssl rand -hex 32`")
        return cls(text)

    def reveal_each(self) -> list[str]:
        """The keys, in their order."""
        return self.reveal().split()


class StoreUrl(Secret):
    """Where the store is. Only a password in it is secret."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `sqlite:///PATH`, `redis://...`, `rediss://...` or `memory://`."""
        parts = _split(text)
        if parts.scheme not in _STORE_SCHEMES:
            raise ValueError("expected sqlite:///PATH, redis://HOST, rediss://HOST or memory://")
        if parts.scheme == "sqlite" and (parts.netloc or not parts.path.strip("/")):
            raise ValueError("expected an absolute path: sqlite:///PATH/FILE.db")
        return cls(text)

    def __str__(self) -> str:
        return re.sub(r"(://[^/@:]*:)[^/]*(?=@)|(?<=password=)[^&]*", rf"\1{MASK}", self._text)


def is_loopback(host: str) -> bool:
    """Whether what is sent to this host (a name or an address) stays on this machine."""
    try:
        return _address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _split(text: str) -> SplitResult:
    # urlsplit drops controls silently; backslashes are slashes to some readers of URLs.
    if re.search(r"[\s\x00-\x1f\x7f\\]", text):
        raise ValueError("expected no blanks, control characters or backslashes")
    # What the library says of a URL may quote the password in it.
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("expected a URL") from None
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("expected a port from 0 to 65535 after the colon") from None
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", host):
        raise ValueError(f"expected a host name or address, not {host!r}")
    return host


def _origin(parts: SplitResult) -> str:
    """Lower case, and without the port that goes without saying, as browsers write it."""
    if "@" in parts.netloc:
        raise ValueError("no user name belongs here")
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{_bracketed(_host(parts))}{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
