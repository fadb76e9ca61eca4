"""RFC 9110 §7.2, RFC 7239 §5: who asks, and under which URL, when a proxy stands in between.

What a proxy says is believed only when the peer of the connection is a trusted one: anybody can
send an X-Forwarded-For.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from aiohttp import web

from gateway.config import Network

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?", re.IGNORECASE)
_USUAL_PORT = {"http": ":80", "https": ":443"}


def client_address(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The IP address of the client: the last one in the chain that is not a trusted proxy."""
    peer = request.remote or ""
    return last_untrusted(peer, request.headers.getall("X-Forwarded-For", ()), trusted)


def last_untrusted(peer: str, forwarded_for: Iterable[str], trusted: Sequence[Network]) -> str:
    """Walk from the peer towards the client, as long as the hops are trusted.

    `forwarded_for` are the values of the X-Forwarded-For headers, in order. Each trusted hop
    vouches for the entry before its own only; an entry that is no address ends the walk.
    """
    address = _address(peer) or peer
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while hops and any(address in network for network in trusted):
        hop = _address(hops.pop())
        if hop is None:
            break
        address = hop
    return address


def base_url(request: web.BaseRequest, public_url: str | None, trusted: Sequence[Network]) -> str:
    """The absolute URL the service has for this client, without a slash at the end.

    Raises HTTPBadRequest if it depends on a Host header that is no host.
    """
    if public_url is not None:
        return public_url
    if not _HOST.fullmatch(request.host):
        raise web.HTTPBadRequest
    scheme = request.scheme
    if any((request.remote or "") in network for network in trusted):
        # The first entry is the client's side. A client that makes it up fools only itself.
        told = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
        scheme = told if told in ("http", "https") else scheme
    return f"{scheme}://{request.host}"


def origin(url: str) -> str:
    """The web origin (RFC 6454 §6.2) of an absolute http(s) URL, as browsers write it."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0].lower()
    return f"{scheme}://{authority.removesuffix(_USUAL_PORT[scheme])}"


def _address(hop: str) -> str | None:
    """The address in an entry such as `192.0.2.7`, `192.0.2.7:4711` or `[2001:db8::7]:4711`.

    An IPv4 address in the form that IPv6 sockets give it (`::ffff:192.0.2.7`) is made plain.
    """
    hop = hop.strip()
    if found := re.fullmatch(r"\[([^\]]*)\](:\d+)?|([0-9.]+):\d+", hop):
        hop = found[1] or found[3] or ""
    try:
        address = ipaddress.ip_address(hop)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
