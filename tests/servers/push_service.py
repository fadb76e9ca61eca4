"""RFC 8030: a push service on a loopback port that reads what it gets, and fails on cue.

It makes subscriptions as a browser would, keeps their private keys, and decrypts by RFC 8291 and
RFC 8188 and verifies by RFC 8292 on its own: nothing of the gateway is used here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import unused_port
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.servers.certificates import Certificates, make_certificates

SECONDS = 30


@dataclass(frozen=True)
class Arrived:
    """A push, as the device reads it. headers: what it came with; claims: of the VAPID token."""

    json: Any
    headers: Mapping[str, str]
    claims: Mapping[str, Any]
    server_key: str


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Subscription:
    """What a device has, and what came for it.

    answers: what the next requests are answered with; then 201. requests: how many there were.
    """

    url: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    secret: bytes = field(default_factory=lambda: b"0123456789abcdef")
    answers: deque[Answer] = field(default_factory=deque)
    requests: int = 0
    _arrived: asyncio.Queue[Arrived] = field(default_factory=asyncio.Queue)

    @property
    def keys(self) -> dict[str, str]:
        """What the client gives the server."""
        return {"p256dh": b64(self.point), "auth": b64(self.secret)}

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    async def next(self) -> Arrived:
        """Wait for the next push."""
        async with asyncio.timeout(SECONDS):
            return await self._arrived.get()

    @property
    def waiting(self) -> int:
        """How many have come that nobody has looked at."""
        return self._arrived.qsize()

    def put(self, arrived: Arrived) -> None:
        self._arrived.put_nowait(arrived)


@dataclass
class PushService:
    """Running, at `origin`; whose certificate `certificates` sign."""

    origin: str
    certificates: Certificates
    subscriptions: dict[str, Subscription] = field(default_factory=dict)

    def subscribe(self, host: str = "127.0.0.1") -> Subscription:
        """A new device."""
        name = f"device-{len(self.subscriptions)}"
        origin = self.origin.replace("127.0.0.1", host)
        made = Subscription(f"{origin}/push/{name}?for=JMAP")
        self.subscriptions[name] = made
        return made

    async def post(self, request: web.Request) -> web.StreamResponse:
        subscription = self.subscriptions.get(request.match_info["name"])
        if subscription is None:
            return web.Response(status=404)
        subscription.requests += 1
        if subscription.answers:
            return await subscription.answers.popleft()(request)
        claims, server_key = verified(request.headers["Authorization"], self.origin)
        body = await request.read()
        if request.headers.get("Content-Encoding") == "aes128gcm":
            body = decrypted(body, subscription)
        assert int(request.headers["TTL"]) >= 0
        assert request.content_type == "application/json"
        subscription.put(Arrived(json.loads(body), dict(request.headers), claims, server_key))
        return web.Response(status=201, headers={"Location": f"{self.origin}/message/1"})


def status(code: int, **headers: str) -> Answer:
    """An answer of that status; in names of fields - is _."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, text="as told", headers=fields)

    return answer


def held(until: asyncio.Event, then: Answer) -> Answer:
    """An answer that comes when the event is set."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await until.wait()
        return await then(request)

    return answer


@asynccontextmanager
async def push_service(directory: Path) -> AsyncIterator[PushService]:
    """Serve HTTPS on a free port of 127.0.0.1."""
    directory.mkdir(parents=True, exist_ok=True)
    certificates = make_certificates(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    port = unused_port()
    service = PushService(f"https://127.0.0.1:{port}", certificates)
    app = web.Application()
    app.router.add_post("/push/{name}", service.post)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        yield service
    finally:
        await runner.cleanup()


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def decrypted(body: bytes, subscription: Subscription) -> bytes:
    """RFC 8188 §2, RFC 8291 §3: one record."""
    salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
    sender, record = body[21 : 21 + length], body[21 + length :]
    assert len(body) <= 4096
    assert len(record) <= size
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
    shared = subscription.key.exchange(ec.ECDH(), public)
    info = b"WebPush: info\0" + subscription.point + sender
    input_key = HKDF(hashes.SHA256(), 32, subscription.secret, info).derive(shared)
    key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(input_key)
    nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(input_key)
    padded = AESGCM(key).decrypt(nonce, record, None)
    octets, delimiter, rest = padded.rpartition(b"\x02")
    assert delimiter
    assert not rest.strip(b"\0")
    return octets


def verified(
    authorization: str, origin: str, now: float | None = None
) -> tuple[dict[str, Any], str]:
    """RFC 8292 §2, §3: the claims, and the key that signed them. AssertionError.

    now: what time it is, if not that of the clock.
    """
    now = time.time() if now is None else now
    scheme, _, parameters = authorization.partition(" ")
    assert scheme == "vapid"
    fields = dict(each.strip().split("=", 1) for each in parameters.split(","))
    head, payload, signature = fields["t"].split(".")
    assert json.loads(unb64(head)) == {"typ": "JWT", "alg": "ES256"}
    raw = unb64(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(fields["k"]))
    key.verify(der, f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    claims: dict[str, Any] = json.loads(unb64(payload))
    assert claims["aud"] in (origin, origin.replace("127.0.0.1", "localhost"))
    assert now < claims["exp"] <= now + 24 * 3600
    return claims, fields["k"]
