"""Pushes to send, and push services that do as octets tell, be they an answer or not."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from gateway.config import Network
from gateway.webpush.encryption import Keys
from gateway.webpush.sender import Push
from tests.servers.push_service import PushService, Subscription
from tests.servers.scripted import Peer, Script, Scripted

LOOPBACK = (Network.parse("127.0.0.1/32"),)
OCTETS = b'{"@type":"StateChange","changed":{}}'


def push_to(url: str) -> Push:
    """One in clear."""
    return Push(url, None, OCTETS, 60)


def push_for(device: Subscription) -> Push:
    """One that only the device can read."""
    return Push(device.url, Keys(device.point, device.secret), OCTETS, 60)


def scripted(service: PushService, script: Script) -> Scripted:
    """A server with the certificate of a push service, and a script in its place."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(service.certificates.certificate, service.certificates.key)
    return Scripted(script, context)


def url_of(server: Scripted) -> str:
    return f"https://127.0.0.1:{server.port}/push"


@dataclass
class Silent:
    """Read, and never say a word. asked: set once there is a request."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, peer: Peer) -> None:
        await _head(peer)
        self.asked.set()
        await peer.gone()


def saying(octets: bytes) -> Script:
    """Answer with these octets, and keep the connection."""

    async def script(peer: Peer) -> None:
        await _head(peer)
        await peer.send_raw(octets)
        await peer.gone()

    return script


@dataclass
class Endless:
    """Answer with `begin`, then `again` for as long as somebody listens.

    sent: octets of `again` so far; ended: set when nobody listens any more.
    """

    begin: bytes
    again: bytes
    sent: int = field(default=0, init=False)
    ended: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def __call__(self, peer: Peer) -> None:
        await _head(peer)
        try:
            await peer.send_raw(self.begin)
            while True:
                await peer.send_raw(self.again)
                self.sent += len(self.again)
        finally:
            self.ended.set()


async def _head(peer: Peer) -> None:
    while await peer.line():
        pass
