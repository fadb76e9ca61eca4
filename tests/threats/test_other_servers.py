"""Design §12: which servers are connected to is the operator's to say, whatever a user writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from joserfc import jwt
from joserfc.jwk import RSAKey

from gateway.app import running
from tests.app.harness import settings
from tests.http.harness import basic
from tests.servers.dovecot import Dovecot

_events: list[tuple[str, Any]] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _events is not None and event in ("socket.connect", "socket.getaddrinfo"):
        _events.append((event, arguments))


@pytest.fixture
def events() -> Iterator[list[tuple[str, Any]]]:
    """Give the look-ups and connections of this process; a hook can not be taken away again."""
    global _events
    if not hasattr(_hook, "is_there"):
        sys.addaudithook(_hook)
        _hook.is_there = True  # type: ignore[attr-defined]
    _events = []
    yield _events
    _events = None


def places(events: list[tuple[str, Any]]) -> set[tuple[str, int]]:
    """The hosts and ports in them."""
    found = set()
    for event, arguments in events:
        host, port = arguments[1][:2] if event == "socket.connect" else arguments[:2]
        found.add((host.decode() if isinstance(host, bytes) else host, int(port)))
    return found


def token(issuer: str) -> str:
    """One that says by itself where its keys are (RFC 7515 §4.1.2)."""
    key = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "jku": f"{issuer}/jwks", "x5u": f"{issuer}/chain", "typ": "at+jwt"}
    return jwt.encode(header, {"iss": issuer, "email": "ann@evil.example", "exp": 1 << 40}, key)


@pytest.mark.threat("R3")
async def test_nothing_that_a_user_says_names_a_server(
    dovecot: Dovecot, tmp_path: Path, events: list[tuple[str, Any]]
) -> None:
    issuer = "http://127.0.0.1:9"  # nobody listens there
    config = settings(
        dovecot,
        tmp_path,
        JMAP_GATEWAY_OAUTH__ISSUER=issuer,
        JMAP_GATEWAY_OAUTH__AUDIENCE="https://jmap.example.test",
    )
    names = [
        "ann@imap.evil.example",
        "ann@127.0.0.1:2525",
        "imap://evil.example/ann",
        "ann@[::ffff:169.254.169.254]",
        "ann@evil.example@169.254.169.254",
        "evil.example\\ann",
    ]
    headers = [basic(name, "a password")["Authorization"] for name in names]
    headers += [f"Bearer {token('https://evil.example')}", f"Bearer {token('http://[::1]:25')}"]
    async with running(config) as url, ClientSession() as http:
        for path in ("/jmap/session", "/.well-known/jmap", "/jmap/eventsource"):
            for header in headers:
                response = await http.get(url + path, headers={"Authorization": header})
                assert response.status in (401, 429, 503)
        own = int(url.rpartition(":")[2])
    allowed = {("127.0.0.1", port) for port in (own, dovecot.imap_port, 9, 0)}
    assert places(events) <= allowed
    assert ("127.0.0.1", dovecot.imap_port) in places(events)
