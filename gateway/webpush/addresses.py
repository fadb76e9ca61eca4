"""RFC 8620 §8.6: where pushes may go: nowhere inside the network (threat R4).

What a URL says is looked at when it is given, and every address that is connected to right before
that: what a name resolves to may change in between.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from gateway.config import Network

Networks: TypeAlias = Sequence[Network]
"""Networks that the operator allows beside the internet."""

MAX_URL: Final = 2_000
_PORT: Final = 443
# RFC 6052 §2.1: what is behind a NAT64 is in the last four octets.
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LAST_32: Final = 0xFFFFFFFF
# What older versions of Python take for public: of RFC 6890, where clouds keep secrets for their
# machines; of RFC 9637, for documentation; of RFC 3879, what sites had before RFC 4193.
_INSIDE: Final = (
    IPv4Network("192.0.0.0/24"),
    IPv6Network("3fff::/20"),
    IPv6Network("fec0::/10"),
)
# RFC 1035 §2.3.4; others make resolvers fail in ways of their own.
_MAX_NAME: Final = 253
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")

# As socket.getaddrinfo gives them: family, type, protocol, canonical name, address.
AddressInfo: TypeAlias = tuple[
    int | socket.AddressFamily,
    int | socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]


class BadUrl(Exception):
    """No push can go to the URL; the text says why, for the client."""


class ForbiddenAddress(OSError):
    """The address is inside the network."""


def check_url(url: str, networks: Networks) -> None:
    """Raise BadUrl unless pushes may go there, as far as the URL itself tells."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise BadUrl(f"It is not a URL of at most {MAX_URL} ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        raise BadUrl("It is not a URL.") from None
    if parts.scheme != "https" or not host:
        raise BadUrl('It does not begin with "https://" and a host.')
    if parts.username is not None or parts.password is not None or "#" in url:
        raise BadUrl("It has a user name, a password or a fragment.")
    if ":" not in host and not _is_name(host):
        raise BadUrl("Its host is no name.")
    is_allowed = _is_in(host, networks)
    if _looks_like_address(host) and not is_allowed and not _is_public(host):
        raise BadUrl("It is inside of a network.")
    if port != _PORT and not (is_allowed or networks):
        raise BadUrl(f"Its port is not {_PORT}.")


def guarded_socket(networks: Networks, info: AddressInfo) -> socket.socket:
    """A socket to connect to that address with. Raises ForbiddenAddress."""
    family, kind, protocol, _, address = info
    host, port = str(address[0]), address[1]
    is_allowed = _is_in(host, networks)
    if not is_allowed and not (_is_public(host) and port == _PORT):
        raise ForbiddenAddress(f"pushes do not go to {host}")
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made


def _is_in(host: str, networks: Networks) -> bool:
    return any(host in network for network in networks)


def _is_name(host: str) -> bool:
    """In lower case, with or without a dot at the end."""
    name = host.removesuffix(".")
    return len(name) <= _MAX_NAME and all(map(_LABEL.fullmatch, name.split(".")))


def _looks_like_address(host: str) -> bool:
    """Also what the system's resolver takes for one: 127.1, 0x7f000001, 2130706433."""
    if ":" in host:
        return True
    last = host.rstrip(".").rpartition(".")[2]
    return last.isdigit() or last.lower().startswith("0x")


def _is_public(host: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return all(
        each.is_global
        and not (each.is_multicast or each.is_reserved)
        and not any(each in network for network in _INSIDE)
        for each in _all_of(address)
    )


def _all_of(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and what is behind it."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    behind: list[IPv4Address | IPv6Address] = []
    if address.sixtofour is not None:
        behind.append(address.sixtofour)
    if address.teredo is not None:
        behind += address.teredo
    if address in _NAT64:
        return [IPv4Address(int(address) & _LAST_32)]
    return [address, *behind]
